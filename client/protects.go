package client

import (
	"fmt"
	"slices"

	"tunic/chain"
	"tunic/chain/genesis"
	"tunic/registry/directory"
	"tunic/registry/path"
)

// Protection is how a client is set, in which network, and so what it protects: the
// facts, and in Points and Claim the same in words.
type Protection struct {
	Hops         int            // relays before a mailbox member
	MixingMean   chain.Duration // of each hop; 0: none
	Cover        bool           // packets leave on a clock of their own
	NetworkCover bool           // those of the others do
	Proxy        string         // what guards and ledgers see instead of this machine; "" for nothing
	Relays       int            // that the newest list offers; 0: not known yet
	Operators    int            // of those
	Largest      int            // relays of the operator that has most
	Dir          string         // where texts are kept; "" in memory alone
}

// Few is below how many relays or operators a network is small.
const (
	fewRelays    = 100
	fewOperators = 20
)

// Point is one thing that a client protects or does not.
type Point struct {
	Topic string `json:"topic"` // contents, path, timing, cover, address, network, disk, beyond
	Text  string `json:"text"`
	// Weak says that something to know of, or to change, is in the text.
	Weak bool `json:"weak"`
}

// Protects is what a client with cfg protects in the network of list, of which
// removed are out; a nil list is one that is not known. It needs Core, Hops, Cover
// and Dir of cfg.
func Protects(cfg Config, list *directory.List, removed []chain.NodeID) Protection {
	p := Protection{Hops: cfg.Hops, MixingMean: cfg.Core.Params.MixingMean, Cover: cfg.covered(), NetworkCover: cfg.Core.Params.Cover, Dir: cfg.Dir}
	if p.Hops == 0 {
		p.Hops = path.DefaultHops
	}
	if list == nil {
		return p
	}
	of := map[chain.Address]int{}
	for _, e := range list.Entries {
		if !slices.Contains(removed, e.Node) {
			p.Relays++
			of[e.Operator]++
			p.Largest = max(p.Largest, of[e.Operator])
		}
	}
	p.Operators = len(of)
	return p
}

// Protection is what this client protects, by the newest list that it knows.
// Whether its transport goes through a proxy it cannot know: the caller sets Proxy.
func (c *Client) Protection() Protection {
	v := c.view.Load()
	if v == nil {
		return Protects(c.cfg, nil, nil)
	}
	return Protects(c.cfg, v.list, v.head.Header.Removals)
}

// Claim says it in one sentence, with the words that a network has for itself.
func (p Protection) Claim() string {
	return genesis.Params{MixingMean: p.MixingMean, Cover: p.Cover}.Claim()
}

// Points say it in whole, plain sentences, the same number each time.
func (p Protection) Points() []Point {
	return []Point{p.contents(), p.way(), p.timing(), p.cover(), p.address(), p.crowd(), p.disk(), p.beyond()}
}

func (p Protection) contents() Point {
	return Point{Topic: "contents", Text: "Only the two ends read a text. Its keys serve once: who records the traffic and takes keys and sessions of both devices later opens nothing that was read before " +
		"(of a contact's first messages, four days at most after them), and nothing new once each side has answered, if they only listen. A quantum computer opens no text that was only recorded; who wrote to whom is another matter, see path. " +
		"Compare safety numbers to know whom you write to."}
}

func (p Protection) way() Point {
	pt := Point{Topic: "path", Text: fmt.Sprintf("%d relays of different operators stand between you and a mailbox, drawn anew for each packet but for the first, your guard. "+
		"No single relay knows both you and whose mailbox it is.", p.Hops)}
	if p.Hops < path.DefaultHops {
		pt.Weak = true
		pt.Text += " With two, your guard's neighbour already sees the mailbox's member: the two of them together see both ends."
	} else if p.Hops > path.DefaultHops {
		pt.Text += " More than three make it slower and fail more often; two ends that work together still recognise times."
	}
	pt.Text += " Paths, unlike texts, are not post-quantum: a relay that keeps the packets it passes on, your guard first of all, could open their layers with a quantum computer later, and see which mailboxes you used. " +
		"On the wire between relays they are closed to one."
	return pt
}

func (p Protection) timing() Point {
	if p.MixingMean == 0 {
		return Point{"timing", "No mixing: relays pass packets on at once. Who sees both your link and a mailbox's member sees a packet go in and come out at the same moment.", true}
	}
	return Point{"timing", fmt.Sprintf("Each relay holds each packet for a random time, %d ms on average. That blurs single packets; who watches both ends for long is not stopped.", p.MixingMean), false}
}

func (p Protection) cover() Point {
	pt := Point{Topic: "cover", Weak: !p.Cover || p.Cover != p.NetworkCover}
	if p.Cover {
		pt.Text = "Cover traffic is on: packets leave at random moments whether or not you write, so your link and your guard do not show when you do."
	} else {
		pt.Text = "Cover traffic is off: your link and your guard show when you write and fetch."
	}
	if p.Cover != p.NetworkCover {
		pt.Text += fmt.Sprintf(" The network has it %s: you are one of few, and can be told from the others by it.", onOff(p.NetworkCover))
	}
	pt.Text += " That you are online shows either way."
	return pt
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

func (p Protection) address() Point {
	if p.Proxy == "" {
		return Point{"address", "Your guard and the ledger's servers see your IP address, and your provider sees that you use Tunic. A proxy such as Tor hides both from them.", true}
	}
	return Point{"address", "Your guard and the ledger's servers see the address where " + p.Proxy + " lets you out, not yours; names are resolved there, and nothing goes around it. " +
		"What that proxy learns and hides is its own matter: it knows your address and where you connect to.", false}
}

func (p Protection) crowd() Point {
	if p.Relays == 0 {
		return Point{"network", "How many relays there are is not known yet.", true}
	}
	relays, small := fmt.Sprintf("%s of %s", plural(p.Relays, "relay"), plural(p.Operators, "operator")), p.Relays < fewRelays || p.Operators < fewOperators
	if p.Largest > 1 {
		relays += fmt.Sprintf(", the largest with %d", p.Largest)
	}
	switch {
	case p.Operators <= p.Hops:
		return Point{"network", fmt.Sprintf("%s: too few for a path, which needs %d of different operators.", relays, p.Hops+1), true}
	case small:
		return Point{"network", relays + ". A small network hides little: who runs or watches a few of them sees both ends of many paths, and among few users who writes to whom is clear from who is there.", true}
	}
	return Point{"network", relays + ". How many people use them nobody can count; the fewer, the less they hide.", false}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (p Protection) disk() Point {
	if p.Dir == "" {
		return Point{"disk", "Texts, contacts and keys are in this program's memory alone, and gone when it ends.", false}
	}
	return Point{"disk", "Texts, contacts and keys stay in " + p.Dir + ", encrypted under a key from your mnemonic. Who has your passphrase or mnemonic, or the running program, reads all texts that are kept; " +
		"number, size and age of the entries show to anyone who copies the folder.", false}
}

func (p Protection) beyond() Point {
	return Point{"beyond", "Not protected: that you use Tunic, against whoever watches your link or its proxy; a device in other hands; what your contacts do with what you wrote.", false}
}
