package node

import (
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/chain/statement"
	"tunic/onion/link"
	"tunic/relay"
)

// RelayConfig configures the relay daemon. Fields with a yaml tag are the keys of
// its configuration file, and their help tags the manual. Begin with DefaultRelay.
type RelayConfig struct {
	Dir         string         `yaml:"dir" help:"folder with the node's keys and state; one relay alone may use it"`
	NetworkFile string         `yaml:"network" help:"network file, from whoever runs the ledger; its urls are asked in order"`
	Listen      []string       `yaml:"listen" help:"IP addresses and ports to accept links on, such as 203.0.113.7:9001"`
	Advertise   []string       `yaml:"advertise" help:"IP addresses and ports that others are told, the preferred one first; empty: listen"`
	Family      []chain.NodeID `yaml:"family" help:"node ids of the same owner's other relays, which have to name this one too"`
	Admin       string         `yaml:"admin" help:"loopback address and port for /healthz, /readyz, /status and /metrics, such as 127.0.0.1:9401; empty: none"`
	Profiles    bool           `yaml:"profiles" help:"serve /debug/pprof there too: exact numbers, for as long as a fault is looked for"`
	Log         string         `yaml:"log" help:"level of the log on standard error: debug, info, warn or error"`
	Drain       time.Duration  `yaml:"drain" help:"how long packets that are held may still leave when the relay is told to stop"`

	Workers    int `yaml:"workers" help:"packets that are opened at the same time; one for each processor does it"`
	Queue      int `yaml:"queue" help:"packets that may wait for that; what comes when they are full is dropped"`
	Delayed    int `yaml:"delayed" help:"packets that may be held for the delay that their senders asked for, 2.4 KiB each (32.4 KiB with large packets)"`
	ReplayTags int `yaml:"replay_tags" help:"packets remembered until their onion key ends, 16 bytes of disk and about 25 of memory each; when full, packets are dropped"`
	Clients    int `yaml:"clients" help:"messengers that may be attached, by their tokens"`

	Mail  MailSettings `yaml:"mail" group:"Mailboxes that this relay keeps."`
	Links LinkSettings `yaml:"links" group:"Links with relays and messengers."`

	// Network is the trust root; its URLs are asked in order.
	Network genesis.Network `yaml:"-"`
	// Signer wraps what signs the relay's statements (nothing).
	Signer func(relay.Signer) relay.Signer `yaml:"-"`
	// Ready is called once the relay has acted on a first head; admin is the URL
	// of the admin listener, empty where there is none.
	Ready  func(id chain.NodeID, admin string) `yaml:"-"`
	Logger *slog.Logger                        `yaml:"-"`
}

// MailSettings bound a relay's mailboxes.
type MailSettings struct {
	Commands    int `yaml:"commands" help:"mailbox commands that may be under way"`
	Stores      int `yaml:"stores" help:"messages that are on disk here and wait for other members of their swarm"`
	Items       int `yaml:"items" help:"messages kept for all mailboxes together, about 2 KiB each (32 KiB with large packets)"`
	Bundles     int `yaml:"bundles" help:"mailboxes of which a prekey bundle is kept"`
	StoreBuffer int `yaml:"store_buffer" help:"write buffer of the database, in bytes; twice that is in memory at most"`
}

// LinkSettings bound a relay's links.
type LinkSettings struct {
	Most           int           `yaml:"most" help:"links open at the same time; each takes about 35 KiB and a file descriptor"`
	Anonymous      int           `yaml:"anonymous" help:"of these, links of messengers and of nodes that are not listed"`
	AnonymousRate  float64       `yaml:"anonymous_rate" help:"frames a second that each of those may send"`
	AnonymousBurst int           `yaml:"anonymous_burst" help:"and how many at once"`
	PuzzleAbove    int           `yaml:"puzzle_above" help:"with more of those than this, new ones have to solve a puzzle; -1: never"`
	PuzzleBits     int           `yaml:"puzzle_bits" help:"how hard it is: a bit more doubles the work"`
	Dials          int           `yaml:"dials" help:"links that may be opened at the same time"`
	Idle           time.Duration `yaml:"idle" help:"a link that this relay opened is closed when nothing went over it for so long; 0s: 2m, or half an epoch"`
	IdleAccepted   time.Duration `yaml:"idle_accepted" help:"and one that the other side opened"`
	QueueBytes     int           `yaml:"queue_bytes" help:"bytes that may wait on all links together"`
	WriteTimeout   time.Duration `yaml:"write_timeout" help:"a link whose other side takes nothing for so long is closed"`
}

// defaultDrain is longer than any packet may be held.
const defaultDrain = 3 * time.Second

// DefaultRelay is a RelayConfig of defaults. Dir, Network and Listen have none.
func DefaultRelay() RelayConfig {
	r, p, l := relay.Defaults(), link.DefaultPool(), link.DefaultLimits()
	return RelayConfig{
		Listen: []string{}, Advertise: []string{}, Family: []chain.NodeID{},
		Log: "warn", Drain: defaultDrain,
		Workers: r.Workers, Queue: r.Queue, Delayed: r.Delayed, ReplayTags: r.ReplayTags, Clients: r.Clients,
		Mail: MailSettings{Commands: r.Mailers, Stores: r.Stores, Items: r.MailItems, Bundles: r.MailBundles, StoreBuffer: r.StoreBuffer},
		Links: LinkSettings{
			Most: p.MaxLinks, Anonymous: p.MaxAnonymous, AnonymousRate: float64(p.AnonymousRate), AnonymousBurst: p.AnonymousBurst,
			PuzzleAbove: p.PuzzleAbove, PuzzleBits: p.PuzzleBits, Dials: p.MaxDials, Idle: 0, IdleAccepted: p.AcceptIdleTimeout,
			QueueBytes: l.QueueBytes, WriteTimeout: l.WriteTimeout,
		},
	}
}

// ShownBy is the command that prints a configuration.
func (*RelayConfig) ShownBy() string { return "tunic relay config" }

// Load reads a configuration file over c. Folders and files in it count from the
// file's own folder.
func (c *RelayConfig) Load(path string) error {
	if err := ReadSettings(path, c); err != nil {
		return err
	}
	for _, p := range []*string{&c.Dir, &c.NetworkFile} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(path), *p)
		}
	}
	return nil
}

// bound is a setting and what it may be.
type bound struct {
	key            string
	v, least, most int64
}

// Validate says what cannot be, by the names of the keys.
func (c *RelayConfig) Validate() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrSettings}, args...)...)
	}
	switch {
	case c.Dir == "":
		return wrong("dir is missing: the relay's folder")
	case len(c.Listen) == 0:
		return wrong("listen is missing: IP address and port to accept links on, such as 203.0.113.7:9001")
	}
	for _, s := range c.Listen {
		if at, err := netip.ParseAddrPort(s); err != nil || at.Port() == 0 {
			return wrong("listen: %q is no IP address and port such as 203.0.113.7:9001", s)
		}
	}
	told := c.endpoints()
	if len(told) > statement.MaxEndpoints {
		return wrong("advertise: %d addresses, %d is the most", len(told), statement.MaxEndpoints)
	}
	for _, s := range told {
		if at, err := netip.ParseAddrPort(s); err != nil || at.Port() == 0 || at.Addr().IsUnspecified() {
			return wrong("advertise: %q is no IP address and port that others can reach; behind a NAT, give the outer one", s)
		}
	}
	if len(c.Family) > statement.MaxFamily {
		return wrong("family: %d nodes, %d is the most", len(c.Family), statement.MaxFamily)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log) {
		return wrong("log: %q is unknown; use debug, info, warn or error", c.Log)
	}
	if c.Profiles && c.Admin == "" {
		return wrong("profiles: there is no admin listener to serve them; set admin")
	}
	l, m := &c.Links, &c.Mail
	for _, b := range []bound{
		{"drain", int64(c.Drain / time.Millisecond), 0, 60_000},
		{"workers", int64(c.Workers), 1, 1024}, {"queue", int64(c.Queue), 1, 1 << 20}, {"delayed", int64(c.Delayed), 1, 1 << 22},
		{"replay_tags", int64(c.ReplayTags), 1 << 10, 1 << 30}, {"clients", int64(c.Clients), 1, 1 << 20},
		{"mail.commands", int64(m.Commands), 1, 1 << 16}, {"mail.stores", int64(m.Stores), 1, 1 << 20}, {"mail.items", int64(m.Items), 1, 1 << 30}, {"mail.bundles", int64(m.Bundles), 1, 1 << 30},
		{"mail.store_buffer", int64(m.StoreBuffer), 1 << 16, 1 << 30},
		{"links.most", int64(l.Most), 8, 1 << 20}, {"links.anonymous", int64(l.Anonymous), 0, int64(l.Most)},
		{"links.anonymous_burst", int64(l.AnonymousBurst), 1, 1 << 20}, {"links.puzzle_above", int64(l.PuzzleAbove), -1, 1 << 20},
		{"links.puzzle_bits", int64(l.PuzzleBits), 1, link.MaxPuzzleBits}, {"links.dials", int64(l.Dials), 1, 1 << 16},
		{"links.queue_bytes", int64(l.QueueBytes), 1 << 20, 1 << 40},
	} {
		if b.v < b.least || b.v > b.most {
			return wrong("%s: %d is out of range, %d to %d", b.key, b.v, b.least, b.most)
		}
	}
	switch {
	case !(l.AnonymousRate > 0 && l.AnonymousRate <= 1e6):
		return wrong("links.anonymous_rate: %g is out of range, above 0 to 1000000", l.AnonymousRate)
	case l.Idle < 0 || l.Idle > 24*time.Hour || l.IdleAccepted < time.Second || l.IdleAccepted > 24*time.Hour:
		return wrong("links.idle and links.idle_accepted: 1s to 24h each; idle may be 0s")
	case l.WriteTimeout < time.Second || l.WriteTimeout > time.Hour:
		return wrong("links.write_timeout: 1s to 1h")
	}
	return nil
}

// endpoints are what others are told.
func (c *RelayConfig) endpoints() []string {
	if len(c.Advertise) > 0 {
		return c.Advertise
	}
	return c.Listen
}

// pool are the settings of links as a relay takes them.
func (l *LinkSettings) pool() link.PoolConfig {
	return link.PoolConfig{
		MaxLinks: l.Most, MaxAnonymous: l.Anonymous, AnonymousRate: rate.Limit(l.AnonymousRate), AnonymousBurst: l.AnonymousBurst,
		PuzzleAbove: l.PuzzleAbove, PuzzleBits: l.PuzzleBits, MaxDials: l.Dials, IdleTimeout: l.Idle, AcceptIdleTimeout: l.IdleAccepted,
	}
}
