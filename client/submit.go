package client

import (
	"context"
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/onion/mail"
)

// submitTries is how many relays are asked to pass a transaction on.
const submitTries = 3

// PassOn lets a relay hand a signed account transaction on to the ledger, which so
// does not see where it comes from. It needs Run at work and a directory. A
// *chain.Refusal is the ledger's; ErrTimeout means that it may have got it:
// passing the same bytes on again does no harm.
func (c *Client) PassOn(ctx context.Context, tx []byte) error {
	if len(tx) > mail.MaxTx {
		return fmt.Errorf("%w: a transaction of %d bytes, at most %d can be passed on", ErrMessage, len(tx), mail.MaxTx)
	}
	var asked []chain.NodeID
	err := ErrNoPath
	for range submitTries {
		v := c.view.Load()
		if v == nil {
			return fmt.Errorf("%w: no directory yet", ErrNoPath)
		}
		id, ok := c.stranger(v, asked)
		if !ok {
			return err
		}
		asked = append(asked, id)
		var reply mail.Reply
		if reply, err = c.roundTrip(ctx, id, mail.Command{Submit: &mail.Submit{Tx: tx}}); err != nil {
			if errors.Is(err, ErrTimeout) {
				continue
			}
			return err
		}
		switch reply.Code {
		case mail.CodeAccepted:
			return nil
		case mail.CodeRefused:
			return chain.Refuse(codeIn(reply.Body), "says the relay that passed it on")
		case mail.CodeBusy:
			err = fmt.Errorf("%w: the relays are busy", ErrTimeout)
		default:
			err = fmt.Errorf("%w: a relay answered %s", ErrTimeout, reply.Code)
		}
	}
	return err
}

// codeIn is a refusal's code as a relay tells it, which may tell anything.
func codeIn(b []byte) string {
	for _, x := range b {
		if (x < 'a' || x > 'z') && x != '_' {
			return mail.CodeRefused.String()
		}
	}
	if len(b) == 0 || len(b) > 64 {
		return mail.CodeRefused.String()
	}
	return string(b)
}
