package pages

import (
	"fmt"
	"html/template"
)

// tones are the colours of badges. The word stands in each, so that nothing
// depends on the colour alone.
var tones = map[string]string{
	// lives of nodes
	"registered": "info", "active": "good", "decommissioned": "warn", "deregistered": "bad", "unlocking": "info", "left": "plain", "tombstoned": "bad",
	"listed": "good", "not listed": "plain", "removed": "bad",
	// transactions
	"ok": "good", "pending": "warn", "included": "good", "refused": "bad",
	// what a slash rests on
	"signature": "bad", "unanswered": "warn", "vote": "info", "self-declared": "warn",
	// proofs
	"valid": "good", "invalid": "bad", "malformed": "bad", "expired": "warn", "already_punished": "info",
	// ballots
	"fit": "good", "unfit": "bad", "absent": "warn", "loss": "warn", "unrevealed": "warn", "version": "warn",
	// epochs
	"running": "good",
	// challenges
	"waiting": "info", "open": "warn", "lapsed": "bad",
}

// badge is a state, result or basis in its colour.
func badge(v any) template.HTML {
	word := fmt.Sprint(v)
	if p, ok := v.(*string); ok {
		word = deref(p)
	}
	tone, ok := tones[word]
	if !ok {
		tone = "plain"
	}
	e := template.HTMLEscapeString
	title := ""
	if m := meanings[word]; m != "" {
		title = ` title="` + e(m) + `"`
	}
	return template.HTML(fmt.Sprintf(`<span class="badge %s"%s>%s</span>`, tone, title, e(word)))
}

// result is what a transaction came to: ok, or a refusal's code.
func result(v any) template.HTML {
	code := text(v)
	switch code {
	case "":
		return badge("pending")
	case "ok":
		return badge(code)
	}
	return template.HTML(`<span class="badge bad" title="refused">` + template.HTMLEscapeString(code) + `</span>`)
}

// meanings are of the words in badges, in a line.
var meanings = map[string]string{
	"waiting":        "the first block of the next epoch says which chunk is asked for",
	"open":           "the node has until its time to show what it promised to keep",
	"lapsed":         "nothing was shown in time; this proves a lost message",
	"registered":     "known to the ledger, waiting for its whole stake",
	"active":         "fully staked; listed in each epoch for which it shows itself in time",
	"decommissioned": "failed tests; not listed, and back when it passes them while its credit lasts",
	"deregistered":   "its credit ran out; the stake is locked for a time",
	"unlocking":      "on its way out; the stake is still bound",
	"left":           "withdrawn; it has no stake any more",
	"tombstoned":     "proven to have cheated; never back",
	"signature":      "its own signatures prove it: nobody has to be believed",
	"unanswered":     "it was challenged and did not answer in time",
	"vote":           "a quorum of nodes found it unfit",
	"self-declared":  "its own heartbeat says so",
	"listed":         "in the directory that clients choose their paths from",
	"pending":        "waits for a block",
	"included":       "in a block",
	"refused":        "left out of its block, and dropped",
}

// means is the meaning of a badge's word; empty where there is nothing to say.
func means(v any) string { return meanings[text(v)] }
