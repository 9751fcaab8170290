package link

import "sync"

// writersIdle is how many writers of a transport wait for a link that has
// something to write. Others end with their work.
const writersIdle = 8

// writers write for the links of one transport. A link has one only while frames
// wait on it: of many links few do, and a goroutine and its stack for each of the
// others would be most of what an idle link costs.
type writers struct {
	mu   sync.Mutex
	idle []chan *tlsConn // of those that wait, the one that came last at the end
	open int             // links; without any no writer waits
}

// enter counts a link that opens, leave one that is over.
func (w *writers) enter() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open++
}

func (w *writers) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open--; w.open > 0 {
		return
	}
	for _, next := range w.idle {
		close(next)
	}
	w.idle = nil
}

// write finds a writer for c, whose queue wants one.
func (w *writers) write(c *tlsConn) {
	w.mu.Lock()
	n := len(w.idle)
	if n == 0 {
		w.mu.Unlock()
		go w.run(c)
		return
	}
	next := w.idle[n-1]
	w.idle = w.idle[:n-1]
	w.mu.Unlock()
	next <- c // has room for it
}

// run is a writer.
func (w *writers) run(c *tlsConn) {
	next := make(chan *tlsConn, 1)
	for c != nil {
		c.write()
		if !w.wait(next) {
			return
		}
		c = <-next // nil where no link is left
	}
}

func (w *writers) wait(next chan *tlsConn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == 0 || len(w.idle) >= writersIdle {
		return false
	}
	w.idle = append(w.idle, next)
	return true
}
