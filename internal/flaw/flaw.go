// Package flaw says what a client in a test goes without, so that a test which shows
// that something is hidden can show that it finds it where it is not. No command,
// option or file leads here: client.NewFlawed takes a Set, in development networks
// alone, and internal/deps says who may import this package.
package flaw

// Set is what a client goes without. The zero value is nothing, which is what every
// client outside of tests has. Two clients understand each other if both have one Set.
type Set struct{ rotation, padding bool }

// WithoutRotation also keeps the mailboxes of a pair the same on all days.
func (s Set) WithoutRotation() Set { s.rotation = true; return s }

// WithoutPadding also lets items show how long their texts are: behind what is
// sealed they are filled with zeros that everybody sees.
func (s Set) WithoutPadding() Set { s.padding = true; return s }

// NoRotation reports whether mailboxes stay the same.
func (s Set) NoRotation() bool { return s.rotation }

// NoPadding reports whether items show their lengths.
func (s Set) NoPadding() bool { return s.padding }
