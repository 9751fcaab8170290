package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"tunic/client"
	"tunic/node"
)

// protectsView is what a client protects, as the commands print it.
type protectsView struct {
	Type         string         `json:"type"` // protects
	Claim        string         `json:"claim"`
	Hops         int            `json:"hops"`
	MixingMS     int64          `json:"mixing_mean_ms"`
	Cover        bool           `json:"cover"`
	NetworkCover bool           `json:"network_cover"`
	Proxy        string         `json:"proxy,omitempty"`
	Relays       int            `json:"relays"`
	Operators    int            `json:"operators"`
	Points       []client.Point `json:"points"`
}

func viewProtects(p client.Protection, through *node.Proxy) protectsView {
	p.Proxy = proxyName(through)
	return protectsView{"protects", p.Claim(), p.Hops, int64(p.MixingMean), p.Cover, p.NetworkCover, p.Proxy, p.Relays, p.Operators, p.Points()}
}

// print writes the points, each in lines of a terminal; what is weak has a mark.
func (v protectsView) print(a *app, w io.Writer) {
	for _, p := range v.Points {
		mark := " "
		if p.Weak {
			mark = "!"
		}
		fmt.Fprintf(w, "%s %s%s %s\n", mark, a.bold(p.Topic), strings.Repeat(" ", 8-len(p.Topic)), fold(p.Text, 11, 100))
	}
}

// fold breaks a text between words, so that no line is longer than width with an
// indent in front of all but the first.
func fold(s string, indent, width int) string {
	var b strings.Builder
	at := indent
	for i, word := range strings.Fields(s) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

func (a *app) clientProtects() *cobra.Command {
	var m messenger
	c := &cobra.Command{
		Use: "protects", Short: "What a messenger with these flags protects in this network, and what not", Args: cobra.NoArgs,
		Long: "Says in plain words what a messenger that is started with the same flags protects: contents,\n" +
			"path, timing, cover, address, network, disk, and what is beyond all that. A ! marks what is weak.\n" +
			"It asks the ledger for the list of relays, through --proxy, and opens no account.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := a.protects(cmd.Context(), &m)
			if err != nil {
				return err
			}
			return a.show(v, func(w io.Writer) { v.print(a, w) })
		},
	}
	m.flags(c)
	m.coverFlag(c)
	return c
}

func (a *app) protects(ctx context.Context, m *messenger) (v protectsView, err error) {
	log, err := a.quiet()
	if err != nil {
		return v, err
	}
	cover, err := m.covers()
	if err != nil {
		return v, err
	}
	through, err := m.way.open(ctx, log)
	if err != nil {
		return v, err
	}
	from, err := m.from()
	if err != nil {
		return v, err
	}
	n, err := network(m.network)
	if err != nil {
		return v, err
	}
	cfg := client.Config{Core: n.Core, Hops: m.way.hops, Cover: cover, Dir: m.dir}
	f, err := node.ClientFeed(n, "", through, from, log) // the folder's own list may be in use
	if err != nil {
		return v, m.problem(err)
	}
	list, head, err := f.Directory(ctx, 0)
	if err != nil {
		return v, m.problem(err)
	}
	return viewProtects(client.Protects(cfg, list, head.Header.Removals), through), nil
}

// claim says in one sentence what a session protects; in JSON all of it.
func (a *app) claim(s *session) error {
	if h, ok := s.feed.Newest(); ok { // what the client is about to take over
		within, cancel := context.WithTimeout(s.ctx, time.Second)
		_ = s.AwaitHead(within, h.Header)
		cancel()
	}
	v := viewProtects(s.Protection(), s.through)
	return a.show(v, func(w io.Writer) {
		fmt.Fprintln(w, s.claim())
	})
}

// claim is the sentence.
func (s *session) claim() string {
	p := s.Protection()
	said := fmt.Sprintf("protects: %s; %d hops", p.Claim(), p.Hops)
	if s.through != nil {
		said += ", through " + s.through.String()
	} else {
		said += ", no proxy: your guard sees your address"
	}
	return said + " (`tunic client protects` says more)"
}
