package api

// ReadAtOnce, KeptTxs and KeptNotes are bounds of what is remembered of blocks,
// which tests make small.
var (
	ReadAtOnce = &readAtOnce
	KeptTxs    = &keptTxs
	KeptNotes  = &keptNotes
)
