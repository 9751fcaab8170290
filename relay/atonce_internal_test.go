package relay

import (
	"testing"
	"testing/synctest"
)

func TestReadersWorkAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAtOnce(5)
		if !a.begin() || !a.begin() || a.begin() {
			t.Fatal("not half as many as there are workers")
		}
		a.end()
		if !a.begin() {
			t.Fatal("nobody may begin after another's end")
		}
		closed := false
		go func() { a.close(); closed = true }()
		synctest.Wait()
		a.end()
		synctest.Wait()
		if closed {
			t.Fatal("closed while a reader works")
		}
		a.end()
		synctest.Wait()
		if !closed || a.begin() {
			t.Fatal("not closed")
		}
	})
}
