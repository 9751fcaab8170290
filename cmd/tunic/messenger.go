package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"tunic/api/feed"
	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/client"
	"tunic/internal/durable"
	"tunic/ledger/light"
	"tunic/node"
	"tunic/onion/link"
	"tunic/onion/mail"
	"tunic/registry/directory"
	"tunic/relay"
)

// accountFile is the keystore in a messenger's folder.
const accountFile = "account.json"

// messenger is what the flags of the messenger's commands name: one account, by
// its name or folder, and the network that it is used in.
type messenger struct {
	dir, name, network, pass, cover, bind string

	receipts bool // tell contacts when their texts were read
	way      way
}

func (m *messenger) flags(c *cobra.Command) {
	m.accountFlags(c)
	networkFlag(c, &m.network)
}

// receiptsFlag is for commands that show texts.
func (m *messenger) receiptsFlag(c *cobra.Command) {
	c.Flags().BoolVar(&m.receipts, "read-receipts", false, "let contacts know when their texts were shown to you")
}

// coverFlag is for commands that send, with the address that they do so from.
func (m *messenger) coverFlag(c *cobra.Command) {
	c.Flags().StringVar(&m.cover, "cover", "", "cover traffic, `on|off`; whoever does otherwise than the network is one of few (as its genesis says)")
	c.Flags().StringVar(&m.bind, "bind", "", "local `address` to connect from, such as 192.0.2.7 (default: the system's choice)")
	m.way.flags(c)
}

// covers is what --cover asks for.
func (m *messenger) covers() (client.Cover, error) {
	switch m.cover {
	case "":
		return client.CoverGenesis, nil
	case "on":
		return client.CoverOn, nil
	case "off":
		return client.CoverOff, nil
	}
	return 0, usage("--cover %s: on or off", m.cover)
}

// from is what --bind names; invalid where it names nothing.
func (m *messenger) from() (netip.Addr, error) {
	if m.bind == "" {
		return netip.Addr{}, nil
	}
	ip, err := netip.ParseAddr(m.bind)
	if err == nil {
		var ln net.Listener
		if ln, err = net.Listen("tcp", netip.AddrPortFrom(ip, 0).String()); err == nil {
			ln.Close()
		}
	}
	if err != nil {
		return ip, usage("--bind %s is not an IP address of this machine", m.bind)
	}
	return ip, nil
}

func (m *messenger) accountFlags(c *cobra.Command) {
	m.accountFlag(c, "account")
	_ = c.RegisterFlagCompletionFunc("account", completeAccounts)
}

func (m *messenger) keystore() string { return filepath.Join(m.dir, accountFile) }

// account opens the keystore.
func (a *app) account(m *messenger) (*client.Account, error) {
	if err := exists(m.keystore()); err != nil {
		return nil, fail(exitFailed, "no_account", "no account there", "%s is missing; %s", m.keystore(), m.elsewhere())
	}
	p, err := a.passphrase(m.pass, false)
	if err != nil {
		return nil, err
	}
	acc, err := client.OpenKeystore(m.keystore(), []byte(p))
	return acc, m.problem(err)
}

// free fails where another command is at work in the folder: before a
// passphrase is asked for.
func (m *messenger) free() error {
	_, err := patient(func() (any, error) {
		unlock, err := durable.Lock(m.dir)
		if err == nil {
			unlock()
		}
		return nil, err
	})
	if errors.Is(err, durable.ErrLocked) {
		return m.problem(err)
	}
	return nil // what else is wrong says whoever opens it
}

// patient opens a folder, and waits a moment for another command to be done
// with it.
func patient[T any](open func() (T, error)) (T, error) {
	for end := time.Now().Add(time.Second); ; time.Sleep(20 * time.Millisecond) {
		x, err := open()
		if !errors.Is(err, durable.ErrLocked) || time.Now().After(end) {
			return x, err
		}
	}
}

// quiet is the logger of commands that say themselves what happened: it takes
// warnings only where --log asks for more than the default.
func (a *app) quiet() (*slog.Logger, error) {
	b := *a
	if b.LogLevel == "warn" {
		b.LogLevel = "error"
	}
	return b.logger()
}

// notice tells a person at a terminal what goes on; nobody else.
func (a *app) notice(format string, args ...any) {
	if !a.json() && terminal(a.Err) {
		fmt.Fprintf(a.Err, "%s\n", oneLine(fmt.Sprintf(format, args...)))
	}
}

func exists(path string) error {
	_, err := durable.ReadFile(path, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// problem puts an error of the messenger into words for its user.
func (m *messenger) problem(err error) error {
	var p *problem
	switch {
	case err == nil, errors.As(err, &p):
		return err
	case errors.Is(err, client.ErrPassphrase):
		return fail(exitFailed, "wrong_passphrase", "wrong passphrase", "it does not open %s, which is left as it is; if the passphrase is lost, move that file away and run `tunic account restore%s` with your words: contacts and messages beside it are kept", m.keystore(), m.nameFlag())
	case errors.Is(err, client.ErrKeystore):
		return fail(exitFailed, "bad_keystore", "unusable account file", "%s: %s; it is left as it is; move it away and run `tunic account restore%s` with your words: contacts and messages beside it are kept", m.keystore(), keystoreFault(err), m.nameFlag())
	case errors.Is(err, client.ErrDamaged):
		return fail(exitFailed, "damaged_state", "the messages in the folder are damaged",
			"%s: %v; it is left as it is; move %s/state away to begin anew, and `tunic account restore --backup FILE%s` brings contacts back", m.dir, damage(err), m.dir, m.nameFlag())
	case errors.Is(err, client.ErrStore):
		return fail(exitFailed, "foreign_state", "the messages in the folder cannot be read",
			"those in %s belong to another account or network, or were damaged; pass the network file that they were written with, or another --dir", m.dir)
	case errors.Is(err, durable.ErrLocked):
		_, why, _ := strings.Cut(err.Error(), durable.ErrLocked.Error())
		return fail(exitFailed, "locked", "the account is in use", "%s is open%s", m.dir, why)
	case errors.Is(err, client.ErrTwoHeads), errors.Is(err, light.ErrTwoHeads):
		return fail(exitFailed, "two_heads", "halted: the ledger shows different things to different people", "%v; the evidence is kept in %s", err, m.dir)
	case errors.Is(err, light.ErrNetwork), errors.Is(err, light.ErrSealer):
		return fail(exitFalse, "foreign_network", "the ledger is of another network", "%v; the network file and the ledger at its URL do not belong together", err)
	case errors.Is(err, node.ErrProxy):
		return proxyProblem(err)
	case errors.Is(err, feed.ErrUnreachable):
		return fail(exitUnreachable, "unreachable", "the ledger is unreachable", "%s; is it running? the network file says where", ofLedgers(err))
	case errors.Is(err, feed.ErrStale):
		return fail(exitUnreachable, "stale", "the ledger's news are too old", "%s", ofLedgers(err))
	case errors.Is(err, client.ErrConfig):
		return usage("%s", afterConfig(err))
	case errors.Is(err, client.ErrMessage), errors.Is(err, client.ErrAccountID), errors.Is(err, client.ErrMnemonic):
		return usage("%s", strings.TrimPrefix(err.Error(), "client: "))
	}
	return err
}

// damage is what client.ErrDamaged says is wrong.
func damage(err error) string {
	_, why, _ := strings.Cut(err.Error(), client.ErrDamaged.Error()+": ")
	return why
}

// ofLedgers is why none of them gave an answer.
func ofLedgers(err error) string {
	s := strings.TrimPrefix(err.Error(), feed.ErrUnreachable.Error()+": ")
	return strings.TrimPrefix(s, "feed: ")
}

// afterConfig is what client.ErrConfig says is wrong.
func afterConfig(err error) string {
	_, why, _ := strings.Cut(err.Error(), client.ErrConfig.Error()+": ")
	return why
}

// keystoreFault says what is wrong with a keystore.
func keystoreFault(err error) string {
	_, why, ok := strings.Cut(err.Error(), client.ErrKeystore.Error()+": ")
	switch {
	case !ok:
		return "it is no account file"
	case why == "EOF":
		return "it is empty"
	case strings.Contains(why, "unexpected EOF"):
		return "it is cut short"
	}
	return "it is no account file (" + why + ")"
}

// noLedger stands in where nothing is asked of the network.
type noLedger struct{}

func (noLedger) Head(context.Context) (chain.SealedHeader, error) {
	return chain.SealedHeader{}, client.ErrNotRunning
}

func (noLedger) Directory(context.Context, chain.Epoch) (*directory.List, chain.SealedHeader, error) {
	return nil, chain.SealedHeader{}, client.ErrNotRunning
}

// lastKnown is the clock of a network whose ledger is the clock, as of the
// newest header that was kept.
type lastKnown chain.Time

func (t lastKnown) Now() chain.Time { return chain.Time(t) }

// offline opens the account's state without the network. The caller closes it.
func (a *app) offline(m *messenger) (*client.Client, error) {
	if _, err := network(m.network); err != nil {
		return nil, err
	}
	if err := m.free(); err != nil {
		return nil, err
	}
	acc, err := a.account(m)
	if err != nil {
		return nil, err
	}
	return m.openOffline(acc)
}

// openOffline is offline with an account that is open.
func (m *messenger) openOffline(acc *client.Account) (*client.Client, error) {
	n, err := network(m.network)
	if err != nil {
		return nil, err
	}
	t, err := link.NewTLS(link.Config{BodySize: relay.BodySize(n.Core)})
	if err != nil {
		return nil, err
	}
	cfg := client.Config{Account: acc, Dir: m.dir, Core: n.Core, Genesis: n.Genesis, Ledger: noLedger{}, Transport: t}
	if n.Core.Clock == genesis.ClockLedger {
		cfg.Clock = lastKnown(n.Core.Time)
		if f, err := feed.New(feed.Config{Network: n, Dir: m.dir}); err == nil {
			if h, ok := f.Newest(); ok {
				cfg.Clock = lastKnown(h.Header.Time)
			}
		}
	}
	c, err := patient(func() (*client.Client, error) { return client.New(cfg) })
	return c, m.problem(err)
}

// who is an account as the commands print it.
type who struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

func (w who) String() string {
	if w.Name != "" {
		return printable(w.Name)
	}
	return w.ID
}

// whoIs names an account.
func whoIs(c *client.Client, id mail.AccountID) who {
	return who{client.FormatID(id), contactOf(c, id).Name}
}

// findContact finds a contact by its name or id.
func findContact(c *client.Client, s string) (client.Contact, error) {
	var named []client.Contact
	id, idErr := client.ParseID(s)
	for _, x := range c.Contacts() {
		if idErr == nil && x.ID == id {
			return x, nil
		}
		if x.Name == s && s != "" {
			named = append(named, x)
		}
	}
	switch {
	case len(named) == 1:
		return named[0], nil
	case len(named) > 1:
		return client.Contact{}, usage("%d contacts are called %q; pass the id, which `tunic contact list` shows", len(named), s)
	case idErr == nil:
		return client.Contact{ID: id}, client.ErrNoContact
	case strings.HasPrefix(strings.ToLower(s), "tunic1"):
		return client.Contact{}, usage("%s", strings.TrimPrefix(idErr.Error(), "client: "))
	}
	return client.Contact{}, fail(exitFailed, "no_contact", "no such contact", "nobody is called %q; `tunic contact list` shows the contacts, `tunic contact add ID NAME` adds one", s)
}

// printable is a text of somebody else on one line of a terminal, which it
// cannot command.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '\uFFFD'
		}
		return r
	}, s)
}

// quote is a text of somebody else, each line indented.
func quote(s, indent string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i := range lines {
		lines[i] = indent + printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// quoted is a short text of somebody else, on one line.
func quoted(s string) string { return `"` + printable(s) + `"` }

// excerpt is the beginning of a text, quoted.
func excerpt(s string) string {
	s = printable(s)
	if r := []rune(s); len(r) > 40 {
		s = string(r[:39]) + "…"
	}
	return `"` + s + `"`
}
