package devnet

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"

	"tunic/chain"
	"tunic/client"
	"tunic/internal/flaw"
	"tunic/node"
	"tunic/onion/link"
)

// Client is one messenger client.
type Client struct {
	Name    string
	Account *client.Account
	*client.Client

	stop    context.CancelFunc // nil while it does not run
	stopped chan struct{}      // closed when Run has returned
}

var clientNames = []string{"alice", "bob", "carol"}

// ClientName is how client i of a network is called, counted from 0.
func ClientName(i int) string {
	if i < len(clientNames) {
		return clientNames[i]
	}
	return fmt.Sprintf("client-%d", i+1)
}

// startClients makes the clients and lets them run.
func (n *Network) startClients() error {
	for i := range n.Spec.Clients {
		c, err := n.makeClient(i)
		if err != nil {
			return fmt.Errorf("devnet: %s: %w", ClientName(i), err)
		}
		n.Clients = append(n.Clients, c)
		n.runClient(c)
	}
	return nil
}

func (n *Network) runClient(c *Client) {
	ctx, stop := context.WithCancel(n.ctx)
	c.stop, c.stopped = stop, make(chan struct{})
	run, stopped := c.Run, c.stopped
	n.wg.Go(func() {
		defer close(stopped)
		if err := run(ctx); ctx.Err() == nil {
			n.fail(fmt.Errorf("devnet: %s ended: %w", c.Name, err))
		}
	})
}

// StopClient ends client i, counted from 0. What it knew can still be read off
// it; without Spec.Dir it begins anew when it is started.
func (n *Network) StopClient(i int) error {
	c := n.Clients[i]
	if c.stop == nil {
		return fmt.Errorf("devnet: %s does not run", c.Name)
	}
	c.stop()
	<-c.stopped
	c.stop = nil
	return c.Close()
}

// StartClient starts client i again.
func (n *Network) StartClient(i int) error {
	c := n.Clients[i]
	if c.stop != nil {
		return fmt.Errorf("devnet: %s runs already", c.Name)
	}
	again, err := n.makeClient(i)
	if err != nil {
		return fmt.Errorf("devnet: %s: %w", c.Name, err)
	}
	c.Client = again.Client
	n.runClient(c)
	return nil
}

func (n *Network) makeClient(i int) (*Client, error) {
	seed := n.derive("client", i)
	mnemonic, err := client.NewMnemonic(bytes.NewReader(seed[:]), 24)
	if err != nil {
		return nil, err
	}
	account, err := client.Restore(mnemonic)
	if err != nil {
		return nil, err
	}
	f, err := n.feed(i)
	if err != nil {
		return nil, err
	}
	t, err := n.clientTransport()
	if err != nil {
		return nil, err
	}
	if n.Spec.Wrap != nil {
		t = n.Spec.Wrap(ClientName(i), chain.NodeID{}, t)
	}
	cfg := client.Config{
		Account: account, Core: n.Genesis.Core, Genesis: n.File.Genesis, Ledger: node.FollowLedger(n.ctx, f), Sealed: node.SealedBy(n.internal, f), Transport: t,
		AcceptAll: true, Poll: n.Spec.Poll, Resend: n.Spec.Resend, Hops: n.Spec.Hops, Logger: n.log.With("client", ClientName(i)),
	}
	if n.Spec.Observe != nil {
		cfg.Observe = func(s client.Step) { n.Spec.Observe(ClientName(i), s) }
	}
	if !n.Spec.Live {
		cfg.Cover = client.CoverOff // a network that stands still cannot come to rest otherwise
	}
	if n.Spec.Dir != "" {
		cfg.Dir = filepath.Join(n.Spec.Dir, ClientName(i))
	}
	var flaws flaw.Set
	if n.Spec.Flaws != nil {
		flaws = n.Spec.Flaws(i)
	}
	c, err := client.NewFlawed(cfg, flaws)
	if err != nil {
		return nil, err
	}
	return &Client{Name: ClientName(i), Account: account, Client: c}, nil
}

// clientTransport is one without identity.
func (n *Network) clientTransport() (link.Transport, error) {
	if n.hub != nil {
		return &gated{n.hub.Client(), &n.gate}, nil
	}
	return link.NewTLS(link.Config{BodySize: n.bodySize()})
}
