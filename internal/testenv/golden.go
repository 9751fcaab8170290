package testenv

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write golden files and vectors anew; the difference is to be read")

// Rewriting reports whether Golden writes, for a test whose output is another
// each time: it makes new output then, and else reads what was once made.
func Rewriting() bool { return *rewrite }

// Golden holds got against the file at path: bytes as they are, anything else as
// indented JSON. With -rewrite it writes the file first. It returns the file's
// bytes.
func Golden(t testing.TB, path string, got any) []byte {
	t.Helper()
	want, ok := got.([]byte)
	if !ok {
		b, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		want = append(b, '\n')
	}
	if *rewrite {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, want) {
		line, have, now := firstDifference(file, want)
		t.Fatalf("the code gives something else than %s, first in line %d:\nfile: %s\ncode: %s", path, line, have, now)
	}
	return file
}

// firstDifference is the first line, counted from 1, in which a and b differ.
func firstDifference(a, b []byte) (line int, inA, inB string) {
	as, bs := bytes.Split(a, []byte{'\n'}), bytes.Split(b, []byte{'\n'})
	at := func(lines [][]byte) string {
		if line < len(lines) {
			return string(lines[line])
		}
		return "(ended)"
	}
	for at(as) == at(bs) && line < max(len(as), len(bs)) {
		line++
	}
	return line + 1, at(as), at(bs)
}
