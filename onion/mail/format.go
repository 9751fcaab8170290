package mail

import "tunic/onion"

// Format is the sizes of a network's mail, in bytes where nothing else is said.
// They follow from its packets: docs/spec/onion.md has the budget.
type Format struct {
	SURB   int // a reply block
	Chunks int // of an item's content, Chunk bytes each
	Reply  int // the longest body of a reply
}

// FormatOf is the mail of a geometry.
func FormatOf(g onion.Geometry) Format {
	f := Format{SURB: g.SURBSize(), Chunks: 5, Reply: g.MaxMessage() - replyHeader}
	switch g {
	case onion.Large:
		f.Chunks = 125
	case onion.Hybrid:
		f.Chunks = 99 // reply blocks are fifteen times as long
	}
	return f
}

// Item is the size of a stored item's content.
func (f Format) Item() int { return f.Chunks * Chunk }
