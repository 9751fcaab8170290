package client_test

import (
	"errors"
	"fmt"
	"strings"

	"tunic/client"
)

func Example_account() {
	alice, err := client.Restore(strings.Repeat("abandon ", 11) + "about")
	if err != nil {
		panic(err)
	}
	fmt.Println(alice)
	bob, err := client.Restore("legal winner thank year wave sausage worth useful legal winner thank yellow")
	if err != nil {
		panic(err)
	}
	fmt.Println(client.SafetyNumber(alice.ID(), bob.ID()))

	_, err = client.Restore("legal winner thank year wave sausage worth useful legal winner thank yelow")
	fmt.Println(errors.Is(err, client.ErrMnemonic), err)
	// Output:
}
