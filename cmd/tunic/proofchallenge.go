package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tunic/api/client"
	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/state"
	"tunic/chain/statement"
	messages "tunic/client"
	"tunic/internal/durable"
	"tunic/node"
	"tunic/slashing"
)

// receiptView is a storage receipt as the commands print it.
type receiptView struct {
	Node   chain.NodeID `json:"node"`
	Chunks uint8        `json:"chunks"`
	Until  chain.Time   `json:"until_ms"`
	File   string       `json:"file,omitempty"`
}

// readReceiptBytes reads an encoded storage receipt.
func readReceiptBytes(b []byte) (statement.Statement, receiptView, error) {
	s, err := statement.Decode(b)
	if err != nil {
		return s, receiptView{}, err
	}
	x, err := statement.DecodeReceipt(s.Body)
	if err == nil && s.Label != statement.LabelReceipt {
		err = fmt.Errorf("it is a %s", s.Label)
	}
	return s, receiptView{Node: s.Node, Chunks: x.Class, Until: x.Until}, err
}

func (a *app) proofReceipts() *cobra.Command {
	var m messenger
	var out string
	c := &cobra.Command{
		Use: "receipts MESSAGE", Short: "Storage receipts of a sent message, to challenge a relay with", Args: cobra.ExactArgs(1),
		Long: `Shows who promised to keep a message that was sent, by its id, and until when. The
first digits of an id will do; "tunic outbox" shows it. With --out NAME each receipt
is written to NAME-1, NAME-2 and so on; "tunic proof challenge" takes such a file.
Receipts are kept until the message is delivered.`,
		RunE: func(_ *cobra.Command, args []string) error {
			if args[0] == "" {
				return usage("which message? give the first digits of its id, as in `tunic outbox`")
			}
			c, err := a.offline(&m)
			if err != nil {
				return err
			}
			defer c.Close()
			var found *messages.Status
			for _, s := range c.Outbox() {
				if strings.HasPrefix(fmt.Sprint(s.ID), strings.ToLower(args[0])) {
					if found != nil {
						return usage("several messages begin with %s; give more digits", args[0])
					}
					found = &s
				}
			}
			if found == nil {
				return fail(exitFailed, "no_message", "no such message", "the id of none begins with %s; `tunic outbox` shows them, and what is delivered is forgotten in time", args[0])
			}
			views := []receiptView{}
			for i, b := range found.Receipts {
				_, v, err := readReceiptBytes(b)
				if err != nil {
					return err
				}
				if out != "" {
					v.File = fmt.Sprintf("%s-%d", out, i+1)
					if err := writeOutput(v.File, b); err != nil {
						return err
					}
				}
				views = append(views, v)
			}
			return a.show(map[string]any{"id": found.ID, "receipts": views}, func(w io.Writer) {
				switch {
				case len(views) == 0 && found.State.Final():
					fmt.Fprintf(w, "it is %s: its receipts are not kept any longer\n", found.State)
					return
				case len(views) == 0:
					fmt.Fprintln(w, "no relay has signed for it yet; `tunic inbox` or `tunic client run` sends it")
					return
				}
				rows := [][]string{a.head("node", "promised until", "file")}
				for _, v := range views {
					rows = append(rows, []string{v.Node.String(), instant(int64(v.Until)), v.File})
				}
				table(w, rows...)
			})
		},
	}
	m.flags(c)
	c.Flags().StringVar(&out, "out", "", "write each receipt to a file of this name and its number")
	return c
}

func (a *app) proofChallenge() *cobra.Command {
	var f txFlags
	var deposit string
	var direct, yes bool
	c := &cobra.Command{
		Use: "challenge RECEIPT", Short: "Ask a relay in public for what a storage receipt of it promises", Args: cobra.ExactArgs(1),
		Long: `Challenges a storage receipt (a file that "tunic proof receipts" wrote). The first
block of the next epoch says which chunk of the message is asked for. The relay has
a time to show it, or to show that the message was deleted; then it gets the
deposit. What is not answered is a lost message: the deposit comes back, and "tunic
proof make --challenge" makes the proof.

The receipt becomes public, and with it that the sender of the transaction knows
it. The transaction travels through relays, so that the ledger does not see where
it comes from; --direct sends it straight there.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := readInput(args[0], statement.MaxReceipt)
			if errors.Is(err, durable.ErrTooLarge) {
				err = fail(exitMalformed, slashing.ErrBadReceipt.Code, "no storage receipt", "%s has over %d bytes; `tunic proof receipts MESSAGE --out NAME` writes them", args[0], statement.MaxReceipt)
			}
			if err != nil {
				return err
			}
			_, v, err := readReceiptBytes(b)
			if err != nil {
				return fail(exitMalformed, slashing.ErrBadReceipt.Code, "no storage receipt", "%s: %v; `tunic proof receipts MESSAGE --out NAME` writes them", args[0], err)
			}
			if err := a.mayPublish(v, yes || f.dryRun); err != nil {
				return err
			}
			if !direct {
				f.deliver = a.throughRelays
			}
			return send(a, cmd, f, slashing.ChallengeType, func(r *remote, _ chain.Address, h chain.Head) (slashing.OpenChallenge, error) {
				in, _, err := r.inForce(cmd.Context())
				if err != nil {
					return slashing.OpenChallenge{}, err
				}
				x := slashing.LeastChallenge(&in.Params)
				if deposit != "" {
					if x, err = chain.ParseTUN(deposit); err != nil {
						return slashing.OpenChallenge{}, usage("--deposit: %v", err)
					}
				}
				return slashing.OpenChallenge{Head: h, Receipt: b, Deposit: x}, nil
			})
		},
	}
	f.add(c)
	c.Flags().StringVar(&deposit, "deposit", "", "TUN for the relay's operator if it answers (default: the least)")
	c.Flags().BoolVar(&direct, "direct", false, "send the transaction straight to the ledger")
	c.Flags().BoolVar(&yes, "yes", false, "publish the receipt without asking")
	return c
}

// mayPublish warns that a challenge publishes its receipt, and asks.
func (a *app) mayPublish(v receiptView, yes bool) error {
	if yes {
		return nil
	}
	fmt.Fprintf(a.Err, "This publishes a receipt of node %s, valid until %s, together with your account: everybody\ncan see that whoever has that account knows of a message that is kept there.\n",
		v.Node.Short(), instant(int64(v.Until)))
	in, ok := a.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return usage("pass --yes to publish the receipt")
	}
	fmt.Fprint(a.Err, "Publish it? [y/N] ")
	line, _ := bufio.NewReader(in).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return fail(exitFailed, "not_published", "nothing was published", "the receipt stays private")
	}
	return nil
}

// onionLimit is how long a transaction may take through relays.
const onionLimit = 30 * time.Second

// throughRelays lets a relay hand a transaction on, as an account that is made for
// it and forgotten.
func (a *app) throughRelays(ctx context.Context, r *remote, tx chain.Tx) error {
	words, err := messages.NewMnemonic(rand.Reader, 12)
	if err != nil {
		return err
	}
	acc, err := messages.Restore(words)
	if err != nil {
		return err
	}
	log, err := a.quiet()
	if err != nil {
		return err
	}
	f, err := feed.New(feed.Config{Network: r.net, HTTP: r.http, Logger: log})
	if err != nil {
		return err
	}
	ctx, end := context.WithTimeout(ctx, onionLimit)
	defer end()
	list, head, err := f.Directory(ctx, 0)
	if err != nil {
		return (&messenger{}).problem(err)
	}
	if err := paths(list, head.Header.Removals, r.net.Params, 0); err != nil {
		return err
	}
	c, err := node.OpenClient(ctx, node.ClientConfig{Account: acc, Network: r.net, Feed: f, Proxy: r.through, Logger: log})
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = c.Run(ctx)
	}()
	defer func() {
		end()
		<-ended
		_ = c.Close()
	}()
	err = messages.ErrNoPath
	for ctx.Err() == nil { // until the client has its first directory
		if err = c.PassOn(ctx, tx.Encode()); !errors.Is(err, messages.ErrNoPath) {
			break
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	var refusal *chain.Refusal
	switch {
	case errors.As(err, &refusal):
		return fail(exitRefused, refusal.Code, "refused: "+refusal.Code, "so says the relay that passed it on; `tunic proof challenges` shows those that are open, --direct asks the ledger itself")
	case errors.Is(err, messages.ErrNoPath), errors.Is(err, messages.ErrTimeout), ctx.Err() != nil:
		return fail(exitUnreachable, "no_answer", "no relay passed it on", "%v; pass --direct to send it straight to the ledger", err)
	}
	return err
}

func (a *app) proofChallenges() *cobra.Command {
	var net, of string
	var height uint64
	c := &cobra.Command{
		Use: "challenges", Short: "Challenges of storage receipts that are open or have lapsed", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			back, err := past(height)
			if err != nil {
				return err
			}
			r, _, err := a.asked(cmd.Context(), net)
			if err != nil {
				return err
			}
			all, err := r.challenges(cmd.Context(), of, back)
			if err != nil {
				return err
			}
			return a.show(map[string]any{"challenges": all}, func(w io.Writer) {
				if len(all) == 0 {
					fmt.Fprintln(w, "no challenge is open, and none has lapsed")
					return
				}
				rows := [][]string{a.head("challenge", "height", "node", "state", "deposit", "due")}
				for _, c := range all {
					rows = append(rows, []string{c.Id, fmt.Sprint(c.Height), short(c.Node), challengeWords(c), tun(c.Deposit), dueWords(c)})
				}
				table(w, rows...)
				if slices.ContainsFunc(all, func(c client.Challenge) bool { return c.State == "lapsed" }) {
					fmt.Fprintln(w, "\n`tunic proof make --challenge ID` makes the proof of one that lapsed; `tunic slash list` shows those that are punished, under the same id")
				}
			})
		},
	}
	networkFlag(c, &net)
	c.Flags().StringVar(&of, "node", "", "only those of this node's receipts")
	heightFlag(c, &height)
	return c
}

func challengeWords(c client.Challenge) string {
	if c.State == "open" && c.Chunk != nil {
		return fmt.Sprintf("open, for chunk %d of %d", *c.Chunk, c.Chunks)
	}
	return c.State
}

func dueWords(c client.Challenge) string {
	if c.DueMs == nil {
		return "the next epoch says"
	}
	return instant(*c.DueMs)
}

// challenges reads all pages after a block, nil is the newest, oldest first.
func (r *remote) challenges(ctx context.Context, of string, height *int64) ([]client.Challenge, error) {
	limit := pageSize
	node, err := r.onlyNode(ctx, of)
	if err != nil {
		return nil, err
	}
	p := client.ListChallengesParams{Limit: &limit, Node: node, Height: height}
	all, err := pages(func(cursor *string) ([]client.Challenge, *string, error) {
		p.Cursor = cursor
		res, err := r.api.ListChallengesWithResponse(ctx, &p)
		if err != nil {
			return nil, nil, answer(0, nil, err)
		}
		page, err := decoded(res.StatusCode(), res.Body, res.JSON200)
		if err != nil {
			return nil, nil, err
		}
		return page.Items, page.NextCursor, nil
	})
	slices.SortStableFunc(all, func(x, y client.Challenge) int { return int(x.Height - y.Height) })
	return all, err
}

// makeLost makes the proof of a challenge that lapsed, of its row in the state.
func (a *app) makeLost(ctx context.Context, net, challenge string) (slashing.Proof, error) {
	id, err := chain.ParseHash(challenge)
	if err != nil {
		return slashing.Proof{}, usage("--challenge: %v", err)
	}
	r, err := a.remote(net)
	if err != nil {
		return slashing.Proof{}, err
	}
	s, row, err := r.stateProof(ctx, state.PartOffences, slashing.ChallengeKey(id), 0)
	if err != nil {
		return slashing.Proof{}, err
	}
	p, err := slashing.AssembleLost(s, row)
	return p, (&judgement{err: err}).refused()
}
