package directory_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"tunic/chain"
	"tunic/registry/directory"
)

// bytes32 is a fixed 32-byte value for a number and a purpose.
func bytes32(purpose string, n int) [32]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint32([]byte(purpose), uint32(n)))
}

// entry is the n-th fixed entry.
func entry(n int) directory.Entry {
	op := bytes32("operator", n)
	return directory.Entry{
		Node: bytes32("node", n), VRF: bytes32("vrf", n), Operator: chain.Address(op[:20]),
		Endpoints: []string{fmt.Sprintf("127.%d.0.1:22021", n)}, Family: []chain.NodeID{bytes32("node", n+1)},
		Swarm: 0, PreviousSwarm: directory.NoSwarm, Version: "1.0.0", Stake: 2000 * chain.TUN,
		Onion: directory.Key{First: 1, Key: bytes32("onion", n)}, OnionNext: directory.Key{First: 25, Key: bytes32("next", n)},
		Performance: 1000,
	}
}

func entries(n int) []directory.Entry {
	all := make([]directory.Entry, n)
	for i := range all {
		all[i] = entry(i)
	}
	return all
}

func list(epoch chain.Epoch, e []directory.Entry) *directory.List {
	l, err := directory.NewList(epoch, e)
	if err != nil {
		panic(err)
	}
	return l
}

// header commits to l.
func header(l *directory.List) chain.Header {
	return chain.Header{DirEpoch: l.Epoch, DirCount: uint32(len(l.Entries)), Directory: l.Root()}
}
