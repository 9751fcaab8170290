package slashing_test

import (
	"errors"
	"fmt"

	"tunic/slashing"
)

// A proof file is judged with nothing but the network file.
func Example() {
	w := newWorld()
	file := w.proof(1).Encode()

	p, err := slashing.Decode(file)
	if err != nil {
		fmt.Println(slashing.VerdictOf(err), err)
		return
	}
	for _, s := range slashing.Steps(p, w.anchor) {
		fmt.Println(s.Name, s.OK)
	}
	offence, err := slashing.Verify(p, w.anchor)
	fmt.Println(slashing.VerdictOf(err), offence.Kind, offence.Basis)

	p.Header.Header.DirCount++
	_, err = slashing.Verify(p, w.anchor)
	fmt.Println(slashing.VerdictOf(err), errors.Is(err, slashing.ErrNotListed))
	// Output:
	// canonical true
	// kind true
	// network true
	// statements true
	// pair true
	// fork true
	// content true
	// epoch true
	// entry true
	// signatures true
	// header true
	// valid double-descriptor signature
	// invalid true
}
