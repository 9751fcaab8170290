package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"tunic/chain/genesis"
	"tunic/internal/wire"
	"tunic/registry/directory"
	"tunic/relay"
)

// floodEntries are entries of the list on their way between processes.
type floodEntries []byte

func packEntries(entries []directory.Entry) (b floodEntries) {
	for _, e := range entries {
		b = directory.AppendEntry(b, e)
	}
	return b
}

func (b floodEntries) unpack() (out []directory.Entry, err error) {
	r := wire.NewReader(b)
	for r.Len() > 0 && r.Err() == nil {
		out = append(out, directory.ReadEntry(r))
	}
	return out, r.Done()
}

// floodRelayReport is what the process with the relay says: first its entry, and
// then, for each line that it gets, where its counters stand.
type floodRelayReport struct {
	Entry    floodEntries   `json:"entry,omitempty"`
	Counters relay.Counters `json:"counters"`
	CPUNS    int64          `json:"cpu_ns"` // processor time of the process
}

// RunFloodRelay runs one relay for Flood, with so many workers, until in ends.
// The first line is the others of the list.
func RunFloodRelay(ctx context.Context, workers int, in io.Reader, out io.Writer) error {
	lines, say := json.NewDecoder(in), json.NewEncoder(out)
	var others floodEntries
	if err := lines.Decode(&others); err != nil {
		return fmt.Errorf("read entries: %w", err)
	}
	entries, err := others.unpack()
	if err != nil {
		return fmt.Errorf("read entries: %w", err)
	}
	n, err := newRelayNet(ctx, relayNetOptions{profile: genesis.Dev, relays: 1, others: entries,
		tune: func(_ int, c *relay.Config) { c.Workers, c.OwnThreads = workers, true }})
	if err != nil {
		return fmt.Errorf("run relay: %w", err)
	}
	me, _ := n.list.Find(n.relays[0].ID())
	err = say.Encode(floodRelayReport{Entry: packEntries([]directory.Entry{me})})
	for err == nil {
		var ask struct{}
		if err = lines.Decode(&ask); err == nil {
			err = say.Encode(floodRelayReport{Counters: n.relays[0].Counters(), CPUNS: int64(processTime())})
		}
	}
	if err == io.EOF {
		err = nil
	}
	return errors.Join(err, n.close())
}
