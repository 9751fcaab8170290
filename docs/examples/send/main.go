// Send writes to a contact and waits until it confirms: go run ./docs/examples/send network.json FOLDER tunic1... TEXT
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"tunic/client"
	"tunic/node"
)

func main() {
	network, err1 := node.ReadNetwork(os.Args[1])
	me, err2 := client.OpenKeystore(os.Args[2]+"/account.json", []byte(os.Getenv("TUNIC_PASSPHRASE")))
	you, err3 := client.ParseID(os.Args[3])
	c, err4 := node.OpenClient(context.Background(), node.ClientConfig{Account: me, Dir: os.Args[2], Network: network})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		log.Fatal(err)
	}
	go c.Run(context.Background())
	id, err := c.SendWithConfirmation(context.Background(), you, os.Args[4])
	log.Println(id, "delivered:", c.IsDelivered(id), err)
}
