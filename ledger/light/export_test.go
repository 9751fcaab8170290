package light

// Kept is how many headers v remembers.
func Kept(v *Verifier) int { return len(v.kept) }
