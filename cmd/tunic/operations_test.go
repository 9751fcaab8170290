package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tunic/cmd/internal/cli"
	"tunic/internal/scripttest"
	"tunic/node"
	"tunic/onion"
	"tunic/onion/mail"
)

const relayExamples = "../../docs/examples/relay/"

func TestExampleConfiguration(t *testing.T) {
	cfg := node.DefaultRelay()
	if err := cfg.Load(relayExamples + "relay.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
}

// parses holds a command line against the commands and flags that there are.
func parses(t *testing.T, args []string) {
	t.Helper()
	scripttest.Parses(t, (&app{cli.Shell{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}}).root(), args)
}

func TestExampleUnit(t *testing.T) {
	unit, err := os.ReadFile(relayExamples + "relay.service")
	if err != nil {
		t.Fatal(err)
	}
	start := regexp.MustCompile(`(?m)^ExecStart=(\S+) (.*)$`).FindStringSubmatch(string(unit))
	if start == nil {
		t.Fatal("no ExecStart")
	}
	parses(t, strings.Fields(start[2]))
	cfg := node.DefaultRelay()
	if err := cfg.Load(relayExamples + "relay.yaml"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(unit), "\nStateDirectory="+filepath.Base(cfg.Dir)+"\n") || filepath.Dir(cfg.Dir) != "/var/lib" {
		t.Errorf("the unit's state is not in %s", cfg.Dir)
	}
	// The filter is read from its first line to its last.
	if _, rest, _ := strings.Cut(string(unit), "\nSystemCallFilter=~"); !strings.Contains(rest, "\nSystemCallFilter=sched_setattr\n") {
		t.Error("the unit forbids sched_setattr, which workers need")
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd is not here to judge the unit: ", err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tunic-relay.service")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(unit), start[1], exe)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("systemd-analyze", "verify", path).CombinedOutput(); err != nil || strings.Contains(string(out), "tunic-relay.service:") {
		t.Errorf("%v %s", err, out)
	}
	allowed := filtered(t, string(unit))
	for _, call := range []string{"sched_setattr", "sched_getattr", "sched_yield"} { // relay/thread_linux.go
		if !allowed[call] {
			t.Errorf("the unit forbids %s, which workers need", call)
		}
	}
	for _, call := range append(group(t, "@resources"), "reboot", "chroot", "mount") {
		if allowed[call] && call != "sched_setattr" {
			t.Errorf("the unit allows %s, which nothing needs", call)
		}
	}
}

// filtered are the system calls that a unit allows, as systemd.exec(5) reads the
// lines of its filter: the first says what is allowed, each that follows adds to it
// or, with a tilde, takes from it.
func filtered(t *testing.T, unit string) map[string]bool {
	t.Helper()
	allowed := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^SystemCallFilter=(~?)(.*)$`).FindAllStringSubmatch(unit, -1) {
		for name := range strings.FieldsSeq(m[2]) {
			calls := []string{name}
			if strings.HasPrefix(name, "@") {
				calls = group(t, name)
			}
			for _, call := range calls {
				allowed[call] = m[1] == ""
			}
		}
	}
	return allowed
}

// group are the system calls of one of systemd's groups, those of the groups in it
// among them.
func group(t *testing.T, name string) (calls []string) {
	t.Helper()
	out, err := exec.Command("systemd-analyze", "syscall-filter", name).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v %s", name, err, out)
	}
	for line := range strings.Lines(string(out)) {
		switch line = strings.TrimSpace(line); {
		case line == "" || line == name || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "@"):
			calls = append(calls, group(t, line)...)
		default:
			calls = append(calls, line)
		}
	}
	return calls
}

func TestExampleContainer(t *testing.T) {
	f, err := os.Open(relayExamples + "Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var entry, args, probe []string
	var build string
	for s := bufio.NewScanner(f); s.Scan(); {
		word, rest, _ := strings.Cut(s.Text(), " ")
		var err error
		switch word {
		case "ENTRYPOINT":
			err = json.Unmarshal([]byte(rest), &entry)
		case "CMD":
			err = json.Unmarshal([]byte(rest), &args)
		case "HEALTHCHECK":
			_, rest, _ = strings.Cut(rest, " CMD ")
			err = json.Unmarshal([]byte(rest), &probe)
		case "RUN":
			if strings.Contains(rest, "go build") {
				build = rest
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
	if len(entry) != 1 {
		t.Fatalf("%q", entry)
	}
	parses(t, args)
	// There is no shell to start another one.
	if len(probe) < 2 || probe[0] != entry[0] || !slices.Contains(probe, "--ready") || probe[len(probe)-1] != args[len(args)-1] {
		t.Fatalf("the probe is %q", probe)
	}
	parses(t, probe[1:])
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	flags := regexp.MustCompile(`-tags=\S+ -trimpath`).FindString(string(makefile))
	if flags == "" || !strings.Contains(build, flags) {
		t.Errorf("the image is built by %q, everything else with %q", build, flags)
	}
	// In an image without a C library the program has to do without one.
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if .CgoFiles}}{{.ImportPath}} needs cgo{{end}}", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "" {
		t.Errorf("%v %s", err, out)
	}
}

// An image is built of all that the program needs, and of no more than the module.
func TestImageContext(t *testing.T) {
	b, err := os.ReadFile("../../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	var sent, but []string
	for line := range strings.Lines(string(b)) {
		switch line = strings.TrimSpace(line); {
		case line == "" || line[0] == '#':
		case line[0] == '!':
			sent = append(sent, line[1:])
		default:
			but = append(but, line)
		}
	}
	if want := []string{"*", "**/*_test.go", "**/testdata"}; !slices.Equal(but, want) {
		t.Errorf("left out are %q, this test knows %q", but, want)
	}
	out, err := exec.Command("go", "list", "-deps", "-f", `{{if and .Module .Module.Main}}{{$p := .ImportPath}}{{$p}}
{{range .EmbedFiles}}{{$p}}/{{.}}
{{end}}{{end}}`, ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"go.mod": true, "go.sum": true}
	for path := range strings.FieldsSeq(string(out)) {
		parts := strings.Split(path, "/")
		want[parts[1]] = true // after the module's name
		if slices.Contains(parts, "testdata") || strings.HasSuffix(path, "_test.go") {
			t.Errorf("the program holds %s, which the image is built without", path)
		}
	}
	for _, name := range sent {
		if !want[name] {
			t.Errorf("%s is sent to the builder for nothing", name)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("the image is built without %v", want)
	}
}

// Every command that the page of operations shows is one.
func TestOperationsPage(t *testing.T) {
	b, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile("(?m)^ {4}(?:\\$ )?tunic (.*)$|`tunic ([a-z][^`]*)`").FindAllStringSubmatch(string(b), -1)
	if len(commands) < 10 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, m := range commands {
		line, _, _ := strings.Cut(m[1]+m[2], " #")
		if line == "relay" {
			continue // the noun: it shows its verbs
		}
		line, _, _ = strings.Cut(line, " > ")
		line, _, _ = strings.Cut(line, " | ")
		parses(t, strings.Fields(strings.NewReplacer("…", "", "TUN", "100").Replace(line)))
	}
	for _, m := range regexp.MustCompile("`?(tunic_relay_[a-z_]+)").FindAllStringSubmatch(string(b), -1) {
		if !slices.Contains(node.RelayMetrics(), m[1]) {
			t.Errorf("there is no metric %s", m[1])
		}
	}
	// What a relay may log at info and above is explained.
	said := 0
	for _, dir := range []string{"../../relay", "../../relay/mailbox", "../../node", "../../api/feed"} {
		files, err := filepath.Glob(dir + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if base := filepath.Base(name); strings.HasSuffix(base, "_test.go") || base == "ledger.go" || base == "proxy.go" {
				continue // not a relay's
			}
			code, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`\b[lL]og(?:ger)?\.(?:Info|Warn|Error)\("([^"]+)"`).FindAllStringSubmatch(string(code), -1) {
				said++
				if !strings.Contains(string(b), "`"+m[1]+"`") {
					t.Errorf("%s logs %q, and the page does not say what to do", name, m[1])
				}
			}
		}
	}
	if said < 25 {
		t.Errorf("%d lines of logs found", said)
	}
}

// The sizes on the page are those of the defaults, for both geometries.
func TestOperationsSizes(t *testing.T) {
	b, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	c := node.DefaultRelay()
	const mib = 1 << 20
	const rest = 50 * mib
	small, large := onion.Small.PacketSize(), onion.Large.PacketSize()
	links, tags := c.Links.Most*35<<10, c.ReplayTags*25
	of := func(n int) [2]int { return [2]int{n * small, n * large} }
	held, waiting := of(c.Delayed), of(c.Queue+5*c.Links.Most)
	frames := [2]int{min(32*mib, 2048*small), min(32*mib, 2048*large)}
	var sum [2]int
	row := func(begin string, sizes [2]int) {
		t.Helper()
		for i := range sum {
			sum[i] += sizes[i]
		}
		want := fmt.Sprintf(" | %d MiB | %d MiB |", (sizes[0]+mib/2)/mib, (sizes[1]+mib/2)/mib)
		if !regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(begin) + `.*` + regexp.QuoteMeta(want)).Match(b) {
			t.Errorf("no row %q with%s", begin, want)
		}
	}
	comma := func(n int) string { // below a thousand million
		s := strconv.Itoa(n)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	}
	row("links, "+comma(c.Links.Most)+" of 35 KiB", [2]int{links, links})
	row("replay tags, "+comma(c.ReplayTags)+" of 25 bytes", [2]int{tags, tags})
	row("packets that links are to send", [2]int{c.Links.QueueBytes, c.Links.QueueBytes})
	row("packets that are held for their delay, "+comma(c.Delayed), held)
	row("packets that wait for a worker, "+comma(c.Queue)+" and 5 for each link", waiting)
	row("frames of other members of the swarm", frames)
	sum = [2]int{sum[0] + rest, sum[1] + rest}
	want := fmt.Sprintf("| **memory, together** | **%s MiB** | **%s MiB** |", comma((sum[0]+mib/2)/mib), comma((sum[1]+mib/2)/mib))
	if !strings.Contains(string(b), want) {
		t.Errorf("no row %s", want)
	}
	// A mailbox's content and some 500 bytes of rows, of each message.
	for i, g := range []onion.Geometry{onion.Small, onion.Large} {
		if got, said := mail.FormatOf(g).Item()+512, []int{2 << 10, 32 << 10}[i]; got > said || got < said*7/8 {
			t.Errorf("a message of %s packets takes some %d bytes of disk, the page says %d", g, got, said)
		}
	}
	if !strings.Contains(string(b), "mailboxes: "+comma(c.Mail.Items)+" messages") || !strings.Contains(string(b), comma(c.Mail.Bundles)+" prekey bundles") {
		t.Error("the page does not state how many messages and bundles a relay keeps")
	}

	// What the unit allows is above what the program is told, and that above what
	// small packets take; the example's links are of the size that the manual says.
	unit, err := os.ReadFile(relayExamples + "relay.service")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^Environment=GOMEMLIMIT=(\d+)MiB\nMemoryMax=(\d+)G$`).FindSubmatch(unit)
	if m == nil {
		t.Fatal("the unit bounds no memory")
	}
	told, _ := strconv.Atoi(string(m[1]))
	most, _ := strconv.Atoi(string(m[2]))
	if told*mib < sum[0]*3/2 || told > most<<10*9/10 {
		t.Errorf("%d MiB of %d GiB, for %d bytes", told, most, sum[0])
	}
	example, err := os.ReadFile(relayExamples + "relay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(example), "Each takes about 35 KiB") {
		t.Error("the example has another size of links than the page")
	}
}
