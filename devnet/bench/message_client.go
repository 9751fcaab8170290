package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"tunic/chain/genesis"
	"tunic/client"
	"tunic/node"
)

// RunMessageClient is a person's client: it runs as the first line on in says and
// sends what each other asks for, until in ends.
func RunMessageClient(ctx context.Context, in io.Reader, out io.Writer) error {
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	var o messageOrder
	if err := orders.Decode(&o); err != nil {
		return fmt.Errorf("read an order: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	c, poll, err := o.open(ctx)
	if err != nil {
		return answers.Encode(messageAnswer{Error: err.Error()})
	}
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	defer func() {
		stop()
		<-done
		c.Close()
	}()
	answer := messageAnswer{ID: client.FormatID(c.ID()), PollMS: poll.Milliseconds()}
	if err := c.Ready(ctx); err != nil {
		answer.Error = err.Error()
	}
	for {
		if err := answers.Encode(answer); err != nil {
			return err
		}
		o = messageOrder{}
		if err := orders.Decode(&o); err != nil {
			return nil // whoever asked has ended
		}
		answer = messageAnswer{}
		if answer.Took, err = o.send(ctx, c); err != nil {
			answer.Error = err.Error()
		}
	}
}

// open makes the client as the tunic program does, and says how often it polls.
func (o messageOrder) open(ctx context.Context) (*client.Client, time.Duration, error) {
	n, err := genesis.ParseNetwork(o.Network)
	if err != nil {
		return nil, 0, err
	}
	a, err := client.Restore(o.Mnemonic)
	if err != nil {
		return nil, 0, err
	}
	c, err := node.OpenClient(ctx, node.ClientConfig{Account: a, Dir: o.Dir, Network: n, AcceptAll: true, Pace: o.Pace})
	if err != nil {
		return nil, 0, err
	}
	return c, c.Polls(), nil
}

// send sends texts and says how long each took to be confirmed.
func (o messageOrder) send(ctx context.Context, c *client.Client) ([]time.Duration, error) {
	to, err := client.ParseID(o.To)
	if err != nil {
		return nil, err
	}
	if err := c.AddContact(to, ""); err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(ctx, o.Drain)
	defer stop()
	var took []time.Duration
	var ids []client.MessageID
	for i := range o.Send {
		text, begin := fmt.Sprintf("message %d, of the length that people write", i), time.Now()
		if o.Every == 0 {
			if _, err := c.SendWithConfirmation(ctx, to, text); err != nil {
				return nil, err
			}
			took = append(took, time.Since(begin))
			continue
		}
		id, err := c.Send(ctx, to, text)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		if err := pause(ctx, o.Every); err != nil {
			return nil, err
		}
	}
	for _, id := range ids {
		if err := c.WaitDelivered(ctx, id); err != nil {
			return nil, err
		}
	}
	return took, nil
}
