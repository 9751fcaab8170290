package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"tunic/chain"
	"tunic/client"
	"tunic/internal/durable"
)

// elsewhereWords say what it means that a later state of the account is at work, and
// what to do.
func elsewhereWords(since chain.Time) string {
	return fmt.Sprintf("this account is at work on another device, or in another folder, since %s: who writes to you for the first time reaches that one, and so does everybody to whom it writes. "+
		"If it is yours, use that one alone from now on. If it is not, somebody has this account's words, and reads and writes in your name: "+
		"make another account with `tunic account new --name NAME`, tell your contacts over another way, and write nothing more with this one", instant(int64(since)))
}

// warnElsewhere tells on stderr that a later state of the account is at work.
func (a *app) warnElsewhere(since chain.Time) {
	switch {
	case since == 0:
	case a.json():
		e := json.NewEncoder(a.Err)
		e.SetEscapeHTML(false)
		_ = e.Encode(map[string]any{"type": "warning", "code": "account_elsewhere", "since_ms": int64(since), "text": elsewhereWords(since)})
	default:
		fmt.Fprintf(a.Err, "warning: %s\n", elsewhereWords(since))
	}
}

// knownElsewhere is what an account's state in a folder knows of a later one; 0 where
// there is none, another command has it open, or the network is not known here.
func (m *messenger) knownElsewhere(acc *client.Account) chain.Time {
	if _, err := os.Stat(filepath.Join(m.dir, "state")); err != nil {
		return 0
	}
	unlock, err := durable.Lock(m.dir)
	if err != nil {
		return 0
	}
	unlock()
	c, err := m.openOffline(acc)
	if err != nil {
		return 0
	}
	defer c.Close()
	return c.Elsewhere()
}
