package api

// ReadAtOnce and KeptTxs are bounds of what is remembered of blocks, which tests
// make small.
var (
	ReadAtOnce = &readAtOnce
	KeptTxs    = &keptTxs
)
