package deps

// Tunic is the picture of the module: which package may import which.
//
// It is a statement of policy, held by TestTree. It is not to be changed to
// make a build pass: an import that it refuses is most often code in the wrong
// package. A change to it is a decision, with its reason in docs/decisions.
//
// A path ending in "/..." stands for a package and all below it.
func Tunic() Policy {
	// The words of the modules: what nearly everything speaks.
	words := []string{"chain", "chain/statement", "chain/genesis", "chain/beacon", "internal/wire", "internal/merkle"}
	// What lasts, and what talks HTTP: outside the pure packages alone.
	plumbing := []string{"internal/durable", "internal/httpx"}
	// What a relay or a client needs to know of the network.
	network := []string{"registry/directory", "registry/path", "registry/probe", "slashing", "onion", "onion/link", "onion/mail"}
	modules := []string{"staking", "registry", "registry/directory", "registry/path", "registry/probe", "registry/explain", "slashing"}
	state := join(modules, list("ledger/machine", "ledger/light", "chain/cometbft", "chain/state", "internal/table"))
	everythingBelowNode := join(words, plumbing, network, state,
		list("api", "api/client", "api/feed", "ledger", "relay", "relay/mailbox", "relay/replay", "client", "client/ratchet", "client/local"))

	return Policy{
		Module: "tunic",
		// From the roof to the cellar: an import goes down this list, or stays
		// within its folder.
		Tops: []string{"docs", "cmd", "devnet", "node", "api", "relay", "client", "ledger", "slashing", "staking", "registry", "onion", "chain", "internal"},
		// Some are of the design and not there yet: a rule without a package is
		// no fault.
		Packages: map[string]Rule{
			// What the documentation shows to those who verify: no more is needed.
			"docs/examples/verify": {Imports: list("chain", "ledger/light"), By: list()},
			// And to those who send.
			"docs/examples/send": {Imports: list("client", "node"), By: list()},

			// The commands reach api through node.
			"cmd/tunic": {Imports: join(words, plumbing, network, state, list("node", "devnet", "devnet/bench", "devnet/scenario",
				"api/client", "api/feed", "ledger", "relay", "client", "client/local", "ledger/wallet", "cmd/internal/cli"))},
			"cmd/tunic-validator": {Imports: join(words, plumbing, state, list("node", "ledger", "ledger/comet", "ledger/wallet", "chain/cometbft", "cmd/internal/cli", "internal/proc"))},
			// What both print, how they fail, and the flags that they share.
			"cmd/internal/cli": {Imports: list("chain", "chain/genesis", "internal/durable", "ledger", "node"), By: list("cmd/tunic", "cmd/tunic-validator")},

			"devnet":          {Imports: join(everythingBelowNode, list("node", "devnet/fault", "devnet/bench", "ledger/wallet", "internal/flaw"))},
			"devnet/scenario": {Imports: join(everythingBelowNode, list("node", "devnet", "devnet/fault", "ledger/wallet"))},
			"devnet/soak":     {Imports: list("devnet/scenario")},
			"devnet/chaos":    {Imports: list("chain", "chain/genesis", "client", "devnet", "registry/directory", "relay")},
			"devnet/deliver":  {Imports: list("chain", "chain/genesis", "client", "devnet", "onion/link", "onion/mail"), By: list()},
			// Does to validators what machines and nets do, and compares what they say.
			"devnet/partition": {Imports: list("chain", "chain/genesis", "client", "devnet", "ledger", "ledger/machine", "node"), By: list()},
			// Watches a devnet's links, with the keys of its relays.
			"devnet/traffic": {Imports: join(everythingBelowNode, list("node", "devnet")), By: list()},
			// Reads what the relays of a devnet keep, and asks what it tells.
			"devnet/observe": {Imports: list("chain", "chain/genesis", "chain/statement", "client", "devnet", "onion/mail", "relay/mailbox"), By: list()},
			"devnet/bench":   {Imports: join(everythingBelowNode, list("node", "devnet", "internal/proc"))},
			"devnet/fault":   {Imports: join(words, network, list("relay", "relay/mailbox")), By: list("devnet", "devnet/scenario")},

			// The only production place where api, relay and client meet.
			"node": {Imports: everythingBelowNode},

			"api":        {Imports: join(words, plumbing, modules, list("api/oas", "api/client", "api/jsonrpc", "api/pages", "ledger", "ledger/machine", "ledger/light", "chain/cometbft", "chain/state", "internal/table"))},
			"api/client": {},
			"api/oas":    {By: list("api")},
			// What programs of other networks ask, of the ledger alone.
			"api/jsonrpc": {Imports: join(words, list("internal/httpx", "ledger", "ledger/machine", "registry", "staking")), By: list("api")},
			// The explorer: a reader of the REST answers, as any other.
			"api/pages": {Imports: join(words, list("api/client", "internal/httpx", "registry/directory", "slashing", "staking")), By: list("api")},
			"api/feed": {Imports: join(words, list("api/client", "ledger/light", "chain/cometbft", "registry/directory",
				"internal/durable", "internal/httpx"))},

			// Neither sees api, ledger or the other: who cannot see balances
			// cannot leak them.
			"relay":         {Imports: join(words, network, list("relay/mailbox", "relay/replay", "internal/durable"))},
			"relay/mailbox": {Imports: join(words, network, list("internal/durable"))},
			// What a relay has seen: the benchmarks fill it without a relay.
			"relay/replay": {Imports: list("chain", "onion", "internal/durable")},
			"client":       {Imports: join(words, network, list("client/ratchet", "internal/durable", "internal/flaw"))},
			"client/local": {Imports: join(words, network, list("client", "internal/durable", "internal/httpx"))},

			"client/ratchet": {Pure: true, Imports: list("internal/wire")},

			"ledger":        {Imports: join(words, plumbing, state)},
			"ledger/wallet": {Imports: list("chain", "internal/durable")},
			"ledger/comet":  {Imports: join(words, plumbing, state, list("ledger"))},
			// Histories under CometBFT, made without it.
			"ledger/comettest": {Imports: join(words, state), By: list()},
			// What an engine handed to a ledger, to hand it over again.
			"ledger/recording": {Imports: list("chain", "chain/genesis", "internal/wire", "ledger/machine", "slashing"), By: list()},
			"ledger/machine":   {Pure: true, Imports: join(words, list("chain/cometbft", "ledger/light", "staking", "registry", "registry/directory", "slashing", "chain/state", "internal/table"))},
			"ledger/light":     {Pure: true, Imports: join(words, list("chain/cometbft", "registry/directory", "slashing", "chain/state", "internal/table"))},

			// Three reducers: what one needs of another comes through
			// interfaces. Of registry, slashing sees the directory alone.
			"slashing": {Pure: true, Imports: join(words, list("chain/cometbft", "registry/directory", "chain/state", "internal/table"))},
			"staking":  {Pure: true, Imports: join(words, list("internal/table"))},
			"registry": {Pure: true, Imports: join(words, list("registry/directory", "chain/state", "internal/table"))},

			"registry/directory": {Pure: true, Imports: list("chain", "chain/statement", "chain/beacon", "internal/wire", "internal/merkle")},
			// Why a node is listed or not, in words: one answer for whoever asks.
			"registry/explain": {Pure: true, Imports: list("chain", "chain/statement", "chain/genesis", "registry", "registry/directory")},
			// What a probe is and what it says of the nodes on its way.
			"registry/probe": {Pure: true, Imports: join(words, list("registry/directory", "registry/path", "onion"))},
			"registry/path":  {Pure: true, Imports: list("chain", "chain/statement", "chain/genesis", "registry/directory", "internal/wire")},

			"onion":      {Pure: true, Imports: list("chain", "internal/wire")},
			"onion/mail": {Pure: true, Imports: list("chain", "chain/statement", "onion", "internal/wire", "internal/merkle")},
			"onion/link": {Imports: list("chain", "onion", "internal/wire")},

			// chain knows no module.
			"chain":           {Pure: true, Imports: list("internal/wire")},
			"chain/statement": {Pure: true, Imports: list("chain", "internal/wire", "internal/merkle", "internal/xeddsa")},
			"chain/genesis":   {Pure: true, Imports: list("chain", "chain/statement", "internal/wire", "internal/merkle")},
			"chain/beacon":    {Pure: true, Imports: list("chain", "internal/wire")},
			// How a header commits to state: what verifies it needs no ledger.
			"chain/state": {Pure: true, Imports: list("chain", "chain/genesis", "internal/wire", "internal/merkle", "internal/table")},
			// What CometBFT decides, without CometBFT.
			"chain/cometbft": {Pure: true, Imports: list("chain", "chain/statement", "internal/wire", "internal/merkle")},

			"internal/wire":    {Pure: true},
			"internal/merkle":  {Pure: true, Imports: list("internal/wire")},
			"internal/table":   {Pure: true, Imports: list("internal/wire", "internal/merkle")},
			"internal/xeddsa":  {Pure: true},
			"internal/durable": {},
			"internal/httpx":   {},
			"internal/deps":    {By: list()},
			// What Linux says of a process, for what measures.
			"internal/proc":    {Imports: list(), By: list("devnet/bench", "cmd/tunic-validator")},
			"internal/testenv": {By: list()},
			// Commands for scripts that test programs.
			"internal/scripttest": {Imports: list(), By: list()},
			// What clients in tests go without: nothing that a command leads to.
			"internal/flaw": {Pure: true, Imports: list(), By: list("client", "devnet")},
			// A proxy for tests.
			"internal/sockstest": {By: list()},
		},
		// What makes a result depend on more than its arguments. net/netip is
		// left out: it is plain values.
		Impure: map[string]string{
			"net/...": "the network", "os/...": "the operating system", "syscall": "the operating system", "C": "the operating system",
			"io/ioutil": "the operating system", "golang.org/x/sys/...": "the operating system",
			"time": "the clock", "math/rand/...": "chance", "crypto/rand": "chance",
			"log/...": "a log", "github.com/ethereum/go-ethereum/log": "a log",
		},
		ImpureExcept: list("net/netip"),
		// Modules that only some may import, directly.
		Confined: map[string][]string{
			"github.com/gin-gonic/gin/...":     {"api", "api/oas", "client/local", "devnet/bench"}, // the last as a peer to measure against
			"github.com/cometbft/cometbft/...": {"ledger/comet", "cmd/tunic-validator"},
			// Tests alone.
			"github.com/ethereum/go-ethereum/signer/...": {},
			"github.com/rogpeppe/go-internal/...":        {"internal/scripttest"}, // which tests alone import
			"github.com/google/go-cmp/...":               {},
			"pgregory.net/rapid":                         {"internal/testenv"}, // which tests alone import
			"go.uber.org/goleak":                         {},
		},
	}
}

func list(paths ...string) []string { return append([]string{}, paths...) }

func join(lists ...[]string) []string {
	var all []string
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}
