package deps

import (
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Load returns the imports of every package in the module whose root is tree,
// whatever system and tags a file is for: a rule that holds on one machine
// holds on all. It leaves out what is no part of the module's build: test
// files, testdata, folders whose name begins with "." or "_", node_modules,
// nested modules, and files under "//go:build ignore".
func Load(tree fs.FS) (map[string][]string, error) {
	packages := map[string][]string{}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			if name == "." {
				return nil
			}
			if base == "testdata" || base == "node_modules" || base[0] == '.' || base[0] == '_' {
				return fs.SkipDir
			}
			if _, err := fs.Stat(tree, path.Join(name, "go.mod")); err == nil {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go") || base[0] == '.' || base[0] == '_' {
			return nil
		}
		imports, ignored, err := fileImports(tree, name)
		if err != nil || ignored {
			return err
		}
		dir := path.Dir(name)
		packages[dir] = append(packages[dir], imports...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load imports: %w", err)
	}
	for dir, imports := range packages {
		slices.Sort(imports)
		packages[dir] = slices.Compact(imports)
	}
	return packages, nil
}

func fileImports(tree fs.FS, name string) (imports []string, ignored bool, err error) {
	src, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, false, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return nil, false, err
	}
	if ignoredByTag(file) {
		return nil, true, nil
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, false, err
		}
		imports = append(imports, imported)
	}
	return imports, false, nil
}

// ignoredByTag reports whether the file is under the constraint "ignore" alone,
// which by custom no build sets.
func ignoredByTag(file *ast.File) bool {
	for _, group := range file.Comments {
		if group.Pos() > file.Package {
			break
		}
		for _, c := range group.List {
			if !constraint.IsGoBuild(c.Text) {
				continue
			}
			expr, err := constraint.Parse(c.Text)
			tag, single := expr.(*constraint.TagExpr)
			return err == nil && single && tag.Tag == "ignore"
		}
	}
	return false
}
