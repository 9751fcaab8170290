// Package deps holds the picture of the module that ARCHITECTURE.md draws:
// which package may import which, and which packages are pure. [Tunic] is that
// picture; the package's test reads the imports of the whole tree with [Load]
// and holds them against it with [Check].
//
// Imports of test files are not looked at: a test may reach for more.
package deps

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Policy says what is allowed. All paths of packages are relative to the
// module.
type Policy struct {
	// Module is the module's path.
	Module string
	// Tops are the top folders, the highest first.
	Tops []string
	// Packages has a rule for every package there may be.
	Packages map[string]Rule
	// Impure names the imports that pure packages must not have, each with what
	// it would bring in.
	Impure map[string]string
	// ImpureExcept are allowed all the same.
	ImpureExcept []string
	// Confined names imports from outside the module that only the listed
	// packages may have.
	Confined map[string][]string
}

// A Rule is what one package may do.
type Rule struct {
	// Imports are the packages of the module it may import.
	Imports []string
	// By, unless nil, are the only packages that may import it; empty means
	// tests alone.
	By []string
	// Pure packages depend on their arguments alone: see Policy.Impure.
	Pure bool
}

// Check holds the imports of each package against p and returns a sentence for
// each rule that is broken, sorted; none if all is well. Packages have paths
// relative to the module; their imports are as in the source.
func Check(p Policy, packages map[string][]string) []string {
	broken := map[string]bool{}
	say := func(format string, args ...any) { broken[fmt.Sprintf(format, args...)] = true }
	tops := map[[2]string][2]string{} // folder imports folder: by these packages
	for pkg, imports := range packages {
		rule, listed := p.Packages[pkg]
		if !listed {
			say("package %s is not listed in the policy: every package has its place in the picture", pkg)
		}
		for _, imported := range imports {
			to, inside := inModule(p.Module, imported)
			if !inside {
				p.checkOutside(say, pkg, rule, imported)
				continue
			}
			if top(pkg) != top(to) {
				tops[[2]string{top(pkg), top(to)}] = [2]string{pkg, to}
			}
			target, known := p.Packages[to]
			if !known || !listed {
				continue // said where the package itself stands
			}
			if !slices.Contains(rule.Imports, to) {
				say("%s must not import %s: the policy does not list it", pkg, to)
			}
			if target.By != nil && !slices.Contains(target.By, pkg) {
				say("%s must not import %s: %s may", pkg, to, allowed(target.By))
			}
			if rule.Pure && !target.Pure {
				say("%s is pure and must not import %s, which is not", pkg, to)
			}
		}
	}
	for edge, pkgs := range tops {
		from, to := edge[0], edge[1]
		if back, both := tops[[2]string{to, from}]; both && from < to {
			say("top folders %s and %s import each other: %s imports %s, and %s imports %s",
				from, to, pkgs[0], pkgs[1], back[0], back[1])
		}
		high, low := slices.Index(p.Tops, from), slices.Index(p.Tops, to)
		if high >= 0 && low >= 0 && high > low {
			say("imports point down, and %s stands below %s: %s must not import %s", from, to, pkgs[0], pkgs[1])
		}
	}
	return slices.Sorted(maps.Keys(broken))
}

func (p Policy) checkOutside(say func(string, ...any), pkg string, rule Rule, imported string) {
	for pattern, users := range p.Confined {
		if matches(pattern, imported) && !slices.Contains(users, pkg) {
			say("%s must not import %s: %s may", pkg, imported, allowed(users))
		}
	}
	if !rule.Pure || slices.Contains(p.ImpureExcept, imported) {
		return
	}
	for pattern, what := range p.Impure {
		if matches(pattern, imported) {
			say("%s is pure and must not import %s: its results depend on its arguments, not on %s", pkg, imported, what)
		}
	}
}

// CheckPolicy holds the policy against itself: that it only speaks of packages
// it lists, never allows an import upwards, and nothing impure to a pure one.
func CheckPolicy(p Policy) []string {
	var broken []string
	say := func(format string, args ...any) { broken = append(broken, fmt.Sprintf(format, args...)) }
	for _, pkg := range slices.Sorted(maps.Keys(p.Packages)) {
		rule := p.Packages[pkg]
		high := slices.Index(p.Tops, top(pkg))
		if high < 0 {
			say("%s stands in no top folder", pkg)
		}
		for _, to := range rule.Imports {
			target, listed := p.Packages[to]
			switch {
			case !listed:
				say("%s may import %s, which is not listed", pkg, to)
			case slices.Index(p.Tops, top(to)) < high:
				say("%s may import %s, which stands above it", pkg, to)
			case rule.Pure && !target.Pure:
				say("%s is pure and may import %s, which is not", pkg, to)
			case target.By != nil && !slices.Contains(target.By, pkg):
				say("%s may import %s, which is reserved", pkg, to)
			}
		}
	}
	for _, pattern := range slices.Sorted(maps.Keys(p.Confined)) {
		for _, user := range p.Confined[pattern] {
			if _, listed := p.Packages[user]; !listed {
				say("%s is confined to %s, which is not listed", pattern, user)
			}
		}
	}
	return broken
}

// inModule turns an import into a path relative to the module.
func inModule(module, imported string) (string, bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

func top(pkg string) string {
	folder, _, _ := strings.Cut(pkg, "/")
	return folder
}

// matches reports whether an import is pattern, or below "pattern/...".
func matches(pattern, imported string) bool {
	base, deep := strings.CutSuffix(pattern, "/...")
	return imported == base || (deep && strings.HasPrefix(imported, base+"/"))
}

func allowed(users []string) string {
	if len(users) == 0 {
		return "only tests"
	}
	return "only " + strings.Join(users, ", ")
}
