package onion_test

import (
	"crypto/rand"
	"fmt"

	"tunic/chain"
	"tunic/onion"
)

// A client sends a question over two relays to a mailbox member, with a reply
// block inside; the member answers without learning who asked.
func Example() {
	genesis := chain.SHA256([]byte("a network"))
	const today chain.Epoch = 500 // of the directory that the path is chosen from

	// Guard, middle and member; the way back ends at the guard.
	var keys []*onion.Key
	var hops []onion.Hop
	for i := range 3 {
		k, _ := onion.NewKey(rand.Reader, 490)
		keys = append(keys, k)
		hops = append(hops, onion.Hop{Index: uint32(i), Key: k.Public(), KeyEpoch: k.FirstEpoch()})
	}
	back := []onion.Hop{hops[1], hops[0]}
	surb, answerKeys, _ := onion.Small.NewSURB(rand.Reader, genesis, onion.ExpiryOf(today), back,
		onion.Token{1}, onion.SURBID{2})
	question := append(surb[:], "any mail?"...)
	packet, _ := onion.Small.Wrap(rand.Reader, genesis, onion.ExpiryOf(today), hops, question)

	// handle is what every node does; a relay looks the tag up in between.
	handle := func(node uint32, packet []byte) (onion.Routing, []byte) {
		table, _ := onion.NewKeys(onion.Small, genesis, keys[node])
		o, err := table.OpenHeader(packet)
		if err == nil {
			err = o.Expired(today)
		}
		if err != nil {
			fmt.Println("dropped:", err)
			return onion.Routing{}, nil
		}
		out, _ := o.Finish()
		fmt.Println("node", node, o.Kind)
		return o.Routing, out
	}
	next, rest := handle(0, packet)
	next, rest = handle(next.NextIndex, rest)
	_, message := handle(next.NextIndex, rest)

	block, _ := onion.ParseSURB(message[:onion.SURBSize])
	fmt.Printf("the member reads %q\n", message[onion.SURBSize:])
	first, reply, _ := block.Reply([]byte("one letter"))
	next, rest = handle(first, reply)
	_, payload := handle(next.NextIndex, rest)
	answer, _ := answerKeys.Open(payload)
	fmt.Printf("the client reads %q\n", answer)
	// Output:
	// node 0 forward
	// node 1 forward
	// node 2 deliver
	// the member reads "any mail?"
	// node 1 forward
	// node 0 client
	// the client reads "one letter"
}
