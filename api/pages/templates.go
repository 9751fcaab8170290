package pages

import (
	"embed"
	"html/template"
	"io/fs"
	"path"
	"strings"
	"sync"
)

//go:embed templates
var templateFiles embed.FS

// templates reads templates/NAME.html as the view NAME: each defines "content",
// and "head" where it wants, for templates/parts/layout.html. What is in parts
// is for all of them.
var templates = sync.OnceValues(func() (map[string]*template.Template, error) {
	parts, err := template.New("").Funcs(functions).ParseFS(templateFiles, "templates/parts/*.html")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	out := map[string]*template.Template{}
	for _, file := range files {
		t, err := template.Must(parts.Clone()).ParseFS(templateFiles, file)
		if err != nil {
			return nil, err
		}
		out[strings.TrimSuffix(path.Base(file), ".html")] = t
	}
	return out, nil
})
