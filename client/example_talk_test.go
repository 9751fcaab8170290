package client_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"tunic/client"
	"tunic/devnet"
	"tunic/onion/mail"
)

// Two clients of a network in this process. Elsewhere node.OpenClient makes one from
// a network file, and the caller runs it.
func talk(ctx context.Context) (alice, bob *client.Client, end func()) {
	n, err := devnet.Start(ctx, devnet.Spec{Relays: 5, Clients: 2, Seed: 7})
	if err != nil {
		log.Fatal(err)
	}
	return n.Clients[0].Client, n.Clients[1].Client, func() { n.Close() }
}

func add(c *client.Client, id mail.AccountID, name string) {
	if err := c.AddContact(id, name); err != nil {
		log.Fatal(err)
	}
}

func ExampleClient_SendWithConfirmation() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	alice, bob, end := talk(ctx)
	defer end()

	add(alice, bob.ID(), "bob")
	id, err := alice.SendWithConfirmation(ctx, bob.ID(), "hello") // waits until bob's client confirms
	fmt.Println("delivered:", alice.IsDelivered(id), err)
	fmt.Println("bob reads:", bob.Inbox()[0].Text)
	// Output:
	// delivered: true <nil>
	// bob reads: hello
}

// Send returns when the text is on this disk; events tell of the rest, and what the
// other side writes comes among them.
func ExampleClient_Send() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	alice, bob, end := talk(ctx)
	defer end()

	mine, theirs := alice.Subscribe(ctx), bob.Subscribe(ctx)
	add(alice, bob.ID(), "bob")
	id, err := alice.Send(ctx, bob.ID(), "are you there?")
	if err != nil {
		log.Fatal(err)
	}
	for e := range theirs {
		if e.Kind == client.EventMessage {
			fmt.Println("bob reads:", e.Message.Text)
			break
		}
	}
	for e := range mine {
		if e.Kind == client.EventStatus && e.Status.ID == id && e.Status.State.Final() {
			fmt.Println("alice sees:", e.Status.State, alice.IsDelivered(id))
			break
		}
	}
	// Output:
	// bob reads: are you there?
	// alice sees: delivered true
}
