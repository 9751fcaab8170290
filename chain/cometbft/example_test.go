package cometbft_test

import (
	"errors"
	"fmt"

	"tunic/chain"
	"tunic/chain/cometbft"
)

// A client that knows the validators of genesis accepts a certificate as it came,
// and a ninth height without those between; then it is shown a second header.
func ExampleFollower() {
	set, err := cometbft.NewSet(equals(0, 4))
	if err != nil {
		fmt.Println(err)
		return
	}
	f, err := cometbft.FromGenesis(cometbft.Config{ChainID: chainID, TrustingPeriod: 10 * day, MaxAhead: minute}, 1, cometbft.Time{Seconds: began}, set)
	if err != nil {
		fmt.Println(err)
		return
	}
	header := headerAt(9, set, set)
	certificate := certify(header, set, nil)
	received, err := cometbft.DecodeCertificate(certificate.Encode())
	if err == nil {
		err = f.Accept(received, nowAt(9))
	}
	newest, _ := f.Newest()
	fmt.Println(err, newest.Header.Height)

	header.DataHash = chain.Hash{}
	err = f.Accept(certify(header, set, nil), nowAt(9))
	var two *cometbft.TwoHeads
	fmt.Println(errors.As(err, &two), len(two.Duplicates(chainID)))
	// Output:
	// <nil> 9
	// true 4
}
