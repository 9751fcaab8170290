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
	// tunic10hk9g69ea3dmp2lscwnewxuwqh0pwa3fwh5hqn0mnlmtlqvvyqxs96r0jp
	// 76010 07268 37012 52764 37817 11946 11604 24423 01847 66228 99597 43795
	// true client: not a mnemonic: word 12 is not in the list; did you mean "yellow"?
}
