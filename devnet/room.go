package devnet

// What a process needs descriptors for beside links.
const (
	relayFiles = 16  // of one relay: its mailboxes, tags, keys, listener; and links that are closing
	otherFiles = 512 // of the ledger, the API and the clients
	leastLinks = 16
	mostLinks  = 4096
)

// linksEach is how many links each of that many relays may hold where all are of
// one process, which may have so many descriptors open: both ends of a link are
// here. Where they ran out, links to open would fail, and packets with them; so
// the quietest link makes room for a new one.
func linksEach(relays int, descriptors uint64) int {
	room := int(min(descriptors, 1<<30))
	return max(leastLinks, min(mostLinks, (room-otherFiles)/max(1, relays)-relayFiles))
}
