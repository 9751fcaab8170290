package pages

import (
	"net/url"
	"strings"
	"testing"
)

func TestWordsOfQuantities(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{duration(0), "0 ms"}, {duration(999), "999 ms"}, {duration(1000), "1 s"}, {duration(7_500_000), "2 h 5 min"},
		{duration(86_400_000), "1 d"}, {duration(90_000_000 + 59_000), "1 d 1 h"}, {duration(3_600_000 + 5000), "1 h"}, {duration(-2000), "-2 s"},
		{permille(987), "98.7 %"}, {permille(1000), "100 %"}, {bps(25), "0.25 %"}, {bps(2500), "25 %"}, {bps(0), "0 %"},
		{group(1234), "1234"}, {group(12345), "12\u202f345"}, {group("1234567"), "1\u202f234\u202f567"}, {group(ptr(int64(7))), "7"},
		{tun("12500000000"), "12.5 TUN"}, {tun("nothing"), "nothing"}, {tunOnly("16000000000001"), "16\u202f000.000000001"},
		{share("1", "3"), "33.33 %"}, {share("5", "0"), "0 %"},
		{short(strings.Repeat("ab", 32)), "abababab…abab"}, {short("0x00112233445566778899aabbccddeeff00112233"), "0x0011…2233"}, {short("short"), "short"},
		{count(1, "block"), "1 block"}, {count(2, "entry"), "2 entries"}, {count(int64(20_000), "node"), "20\u202f000 nodes"},
		{string(amount("1500000000")), `<data class="amount" value="1500000000" title="1500000000 units">1<span class="part">.5</span> <span class="unit">TUN</span></data>`},
		{string(amount("<b>")), "&lt;b&gt;"}, {string(result((*string)(nil))), string(badge("pending"))},
		{string(badge("<i>")), `<span class="badge plain">&lt;i&gt;</span>`},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}

// TestAge: times are relative to the head's.
func TestAge(t *testing.T) {
	f := &frame{Now: 1_700_000_000_000}
	for ms, want := range map[int64]string{0: "now", 999: "now", -999: "now", 1000: "1 s ago", 119_999: "119 s ago", 120_000: "2 min ago", 2*3_600_000 - 1: "119 min ago", -5000: "in 5 s",
		2 * 3_600_000: "2 h ago", 49 * 3_600_000: "2 d ago"} {
		if got := f.Age(f.Now - ms); got != want {
			t.Errorf("%d ms before: %q, want %q", ms, got, want)
		}
	}
	if got := string(f.When(int64(0))); !strings.Contains(got, "never") {
		t.Errorf("0: %s", got)
	}
	want := `<time datetime="2023-11-14T22:13:18.000Z" data-ms="1699999998000" title="2023-11-14 22:13:18 UTC">2 s ago</time>`
	if got := string(f.When(f.Now - 2000)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestIDs: an id is text in its link, whatever it holds.
func TestIDs(t *testing.T) {
	evil := `"><script>/../?`
	got := string(shortID("node", evil))
	if strings.Contains(got, "<script>") || !strings.Contains(got, `href="/nodes/%22%3E%3Cscript%3E%2F..%2F%3F"`) {
		t.Error(got)
	}
	if got := string(fullID("hash", "ab")); strings.Contains(got, "<a ") {
		t.Error(got)
	}
	if got := string(shortID("node", "")); !strings.Contains(got, "none") {
		t.Error(got)
	}
}

// TestSorter: a head sorts the way that is wanted first, then the other.
func TestSorter(t *testing.T) {
	s := sorter{Path: "/nodes", Query: url.Values{"state": {"active"}, "cursor": {"x"}, "flag": {""}}, Order: "-staked", Descends: map[string]bool{"staked": true}}
	for key, want := range map[string]string{"staked": "/nodes?order=staked&state=active", "node": "/nodes?order=node&state=active"} {
		if got := s.Link(key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if s.Aria("staked") != "descending" || s.Aria("node") != "" {
		t.Error(s.Aria("staked"), s.Aria("node"))
	}
	s.Order = "staked"
	if got := s.Link("staked"); got != "/nodes?order=-staked&state=active" || s.Aria("staked") != "ascending" {
		t.Error(got)
	}
	s.Order = ""
	if got := s.Link("staked"); got != "/nodes?order=-staked&state=active" {
		t.Error(got)
	}
}

// TestParamText: each unit in words.
func TestParamText(t *testing.T) {
	for _, c := range []struct {
		unit string
		v    any
		want string
	}{
		{unitAmount, "2000000000000", "2000 TUN"},
		{unitMs, 90_000.0, "1 min 30 s"}, {unitBps, 50.0, "0.5 %"}, {unitPermille, 920.0, "92 %"}, {unitCount, 4096.0, "4096"}, {unitCount, 40960.0, "40\u202f960"},
		{unitSwitch, true, "on"}, {unitSwitch, false, "off"}, {unitGeometry, 1.0, "small"}, {unitGeometry, 9.0, "9"},
		{unitVersions, nil, "any"}, {unitVersions, []any{}, "any"}, {unitVersions, []any{"1.0", "1.1"}, "1.0, 1.1"}, {"", nil, "none"}, {"", "x", "x"},
	} {
		if got := paramText(c.unit, c.v); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.unit, c.v, got, c.want)
		}
	}
}
