//go:build !unix

package devnet

// descriptors is how many files and sockets this process may have open: as many as
// it asks for.
func descriptors() uint64 { return 1 << 20 }
