package machine

import "tunic/slashing"

// Judged records a verdict as the first block of an epoch does.
func (m *Machine) Judged(v slashing.QuorumVerdict) slashing.Record {
	return m.slashing.RecordVerdict(v, m.next(m.head.Time).slashing())
}
