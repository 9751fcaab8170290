package deps_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// pages are the module's texts: what Go comments and they themselves refer to.
type pages struct {
	tree     fs.FS
	headings map[string][]string // of each page, as they stand and without a number
}

func newPages(tree fs.FS) (*pages, error) {
	p := &pages{tree: tree, headings: map[string][]string{}}
	return p, p.walk(".md", func(name string, text []byte) error {
		fenced := false
		p.headings[name] = nil
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "```") {
				fenced = !fenced
			}
			title := strings.TrimLeft(line, "#")
			switch {
			case fenced:
			case title != line && strings.HasPrefix(title, " "):
				title = strings.TrimSpace(title)
			case strings.HasPrefix(line, "**"): // a paragraph with a name
				title, _, _ = strings.Cut(line[2:], "**")
				title, _, _ = strings.Cut(strings.TrimRight(title, ".:"), " (")
			default:
				continue
			}
			if title == "" {
				continue
			}
			p.headings[name] = append(p.headings[name], title)
			if number, rest, ok := strings.Cut(title, " "); ok && number != "" && number[0] >= '0' && number[0] <= '9' {
				p.headings[name] = append(p.headings[name], strings.TrimRight(number, "."), rest)
			}
		}
		return nil
	})
}

// walk calls f for each file of the module that ends so.
func (p *pages) walk(ending string, f func(name string, text []byte) error) error {
	return fs.WalkDir(p.tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := path.Base(name); name != "." && (base == "testdata" || base == "node_modules" || base[0] == '.') {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ending) {
			return nil
		}
		text, err := fs.ReadFile(p.tree, name)
		if err != nil {
			return err
		}
		return f(name, text)
	})
}

// find is the file or folder that a name means which stands in one of the folder
// from; "" for none.
func (p *pages) find(from, name string) string {
	for _, dir := range []string{from, ".", "docs", "docs/spec"} {
		at := path.Join(dir, name)
		if !fs.ValidPath(at) {
			continue
		}
		if _, err := fs.Stat(p.tree, at); err == nil {
			return at
		}
		if found, err := fs.Glob(p.tree, at+"-*.md"); err == nil && len(found) == 1 {
			return found[0] // a decision, by its number
		}
	}
	return ""
}

var (
	// A path below docs, a page by its name, or a link of one; and what follows.
	reference = regexp.MustCompile(`(?:\]\()?((?:\.\./|[\w-]+/)*[\w-]+\.md|docs/[\w./-]*\w)\b(?:#[\w-]+)?\)?`)
	sections  = regexp.MustCompile(`^,? \(?sections? `)
	sectionOf = regexp.MustCompile(`[Ss]ections? ([A-Z0-9][^.:;()]*?) of (?:\[[^\]]*\]\()?((?:\.\./|[\w-]+/)*[\w-]+\.md)`)
	link      = regexp.MustCompile(`\]\(([^)#\s]+)`)
	decision  = regexp.MustCompile(`\b[Dd]ecision (\d{1,4})\b`)
)

// dead are the references in a text of the folder from that lead nowhere.
func (p *pages) dead(from, text string) (dead []string) {
	text = strings.Join(strings.Fields(text), " ")
	for _, m := range reference.FindAllStringSubmatchIndex(text, -1) {
		name := text[m[2]:m[3]]
		if strings.Contains(text[strings.LastIndexAny(text[:m[2]], " (")+1:m[2]], "://") {
			continue // an address
		}
		at := p.find(from, name)
		if at == "" {
			if first, _, folder := strings.Cut(name, "/"); !folder || first == ".." || first == "docs" {
				dead = append(dead, name)
			} // else it is in another module
			continue
		}
		rest := text[m[1]:]
		if of := sections.FindString(rest); of != "" && path.Ext(at) == ".md" {
			if !p.listed(at, rest[len(of):], strings.Contains(of, "sections")) {
				dead = append(dead, name+of+rest[len(of):min(len(rest), len(of)+40)])
			}
		}
	}
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(m[1], "://") && p.find(from, m[1]) == "" {
			dead = append(dead, m[1])
		}
	}
	for _, m := range sectionOf.FindAllStringSubmatch(text, -1) {
		if at := p.find(from, m[2]); at != "" && !p.listed(at, m[1]+".", strings.Contains(m[0], "ections ")) {
			dead = append(dead, m[0])
		}
	}
	for _, m := range decision.FindAllStringSubmatch(text, -1) {
		if p.find("docs/decisions", strings.Repeat("0", 4-len(m[1]))+m[1]) == "" {
			dead = append(dead, m[0])
		}
	}
	return dead
}

// listed reports whether rest begins with the name or number of a section of a
// page, or with several.
func (p *pages) listed(page, rest string, several bool) bool {
	for n := 0; ; n++ {
		longest := ""
		for _, h := range p.headings[page] {
			after, ok := strings.CutPrefix(strings.TrimLeft(rest, "*"), h)
			if ok && len(h) > len(longest) && (after == "" || !regexp.MustCompile(`^\w`).MatchString(after)) {
				longest = h
			}
		}
		if longest == "" {
			return n > 1 || n == 1 && !several
		}
		rest = strings.TrimLeft(rest, "*")[len(longest):]
		sep := regexp.MustCompile(`^\*?(, and |, | and | to )`).FindString(rest)
		if sep == "" {
			return n > 0 || !several
		}
		rest = rest[len(sep):]
	}
}

// tests are the names of all tests.
func (p *pages) tests() (names []string, err error) {
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)
	err = p.walk("_test.go", func(_ string, text []byte) error {
		for _, m := range declared.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
		return nil
	})
	return names, err
}

// Every page, section and test that a comment or a page names is there.
func TestReferences(t *testing.T) {
	p, err := newPages(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = p.walk(".go", func(name string, text []byte) error {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, c := range file.Comments {
			said := c.Text()
			seen += strings.Count(said, ".md")
			for _, dead := range p.dead(path.Dir(name), said) {
				t.Errorf("%s names %q, which is not there", set.Position(c.Pos()), dead)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	tests, err := p.tests()
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`)
	err = p.walk(".md", func(name string, text []byte) error {
		for _, test := range named.FindAllString(string(text), -1) { // may be a beginning, as after -run
			if !slices.ContainsFunc(tests, func(x string) bool { return strings.HasPrefix(x, test) }) {
				t.Errorf("%s names %s, and there is no such test", name, test)
			}
		}
		seen += strings.Count(string(text), ".md")
		for i, line := range strings.Split(string(text), "\n") {
			for _, dead := range p.dead(path.Dir(name), line) {
				t.Errorf("%s:%d names %q, which is not there", name, i+1, dead)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 300 {
		t.Errorf("%d references: looking in the wrong place", seen)
	}
}

func TestDeadReferencesAreFound(t *testing.T) {
	p, err := newPages(tree("a.go:"))
	if err != nil {
		t.Fatal(err)
	}
	p.tree = fstest.MapFS{"docs/spec/mail.md": {}, "docs/decisions/0034-coarse-metrics.md": {}}
	p.headings = map[string][]string{"docs/spec/mail.md": {"7. Store", "7", "Store", "Anti-entropy"}}
	for text, want := range map[string]bool{
		"docs/spec/mail.md": false, "docs/spec/post.md": true, "see mail.md, section Store.": false,
		"docs/spec/mail.md,\nsection What is tested.": true, "docs/spec/mail.md, sections Store and Anti-entropy": false,
		"docs/spec/mail.md, sections Store and Rules": true, "docs/spec/mail.md, sections 7 and 8": true, "mail.md, section 7": false,
		"mail.md, section Stores": true, "section Store of docs/spec/mail.md": false, "section Rules of docs/spec/mail.md": true,
		"[the store](../spec/mail.md), section Store": false, "[mails](mails.md)": true,
		"decision 34": false, "decision 0034": false, "decision 22": true, "docs/decisions/0034.": false,
		"https://example.org/docs/none.md": false,
	} {
		if dead := p.dead("docs/spec", text); len(dead) > 0 != want {
			t.Errorf("%q: %q", text, dead)
		}
	}
}

// The ratchet is Signal's: its tests say of which section they are.
func TestRatchetTestsCiteTheirSections(t *testing.T) {
	const dir = "../../client/ratchet/"
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	tests := 0
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, dir+f.Name(), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(fn.Name.Name, "Test") && !strings.HasPrefix(fn.Name.Name, "Fuzz") {
				continue
			}
			tests++
			if !regexp.MustCompile(`(?s)(PQXDH|ouble\s+ratchet).*sections?\s+\d|section\s+\d.*(PQXDH|ouble\s+ratchet)`).MatchString(fn.Doc.Text()) {
				t.Errorf("%s: %s cites no section of PQXDH or the double ratchet", set.Position(fn.Pos()), fn.Name.Name)
			}
		}
	}
	if tests < 10 {
		t.Errorf("%d tests: looking in the wrong place", tests)
	}
}
