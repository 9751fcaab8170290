package mailbox

import "path/filepath"

// SegmentSize makes segments of a Level end sooner.
func (l *Level) SegmentSize(n int64) { l.segments.full = n }

// Reached has hook called at the steps of a write: begin (a segment), write,
// sync, rows, counted. Its error stands for one of the disk.
func (l *Level) Reached(hook func(step string) error) { l.segments.reached = hook }

// Idle waits until no segment is being emptied.
func (l *Level) Idle() { l.collector.Wait() }

// Segments are the files with contents.
func Segments(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, segmentFolder, "*"+segmentEnding))
	return files
}

// Walk reads the records of a segment's file, whose number is 1.
func Walk(dir string, fn func(key, value []byte)) error {
	s, err := listSegments(filepath.Join(dir, segmentFolder))
	if err != nil {
		return err
	}
	return s.walk(1, func(_ spot, k, v []byte) bool { fn(k, v); return true })
}

// InlinedContents makes of rows those of version 2, in which no content is apart.
func InlinedContents(rows []Row) (out []Row) {
	contents := map[string][]byte{}
	for _, r := range rows {
		if apart(r.Key) {
			contents[string(r.Key[1:])] = r.Value
		}
	}
	for _, r := range rows {
		switch {
		case apart(r.Key):
			continue
		case r.Key[0] == rowItem:
			r.Value = append(r.Value, contents[string(r.Key[1:])]...)
		case r.Key[0] == rowVersion:
			r.Value = []byte{inlinedRows}
		}
		out = append(out, r)
	}
	return out
}
