// Package web is the page: where somebody practises, and where somebody reads
// five hundred answers. It is made of templates, style sheets and small modules
// that need no building and nothing from elsewhere.
//
// It knows the service only through package api, so it sees what every other
// caller sees: the same checks, the same problems, the same keys. It grades
// nothing, and keeps nothing but a sealed cookie with the caller's key.
package web

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/klauspost/compress/gzhttp"

	"github.com/gradus-ai/gradus/internal/api"
)

//go:embed templates
var templates embed.FS

// Config is what a Page is made of. Everything is required.
type Config struct {
	// Client makes a client of the service, with a key or, where that is empty,
	// with none.
	Client func(key string) (*api.Client, error)
	// Secret is what session cookies are sealed with, 16 bytes or more.
	Secret []byte
	Now    func() time.Time
	Log    *slog.Logger
}

// Page is the web page as an http.Handler. It sets its own policy for what a
// browser may load and run; it expects that requests which change something and
// come from other sites have been turned away.
type Page struct {
	cfg     Config
	seal    *seal
	assets  *assets
	pages   map[string]*template.Template
	handler http.Handler
}

// New makes a Page.
func New(cfg Config) (*Page, error) {
	if cfg.Client == nil || cfg.Now == nil || cfg.Log == nil {
		return nil, errors.New("the page needs a client, a clock and a logger")
	}
	p := &Page{cfg: cfg}
	var err error
	if p.seal, err = newSeal(cfg.Secret, cfg.Now); err != nil {
		return nil, err
	}
	if p.assets, err = newAssets(); err != nil {
		return nil, err
	}
	if p.pages, err = p.parse(); err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"GET /{$}":                p.home,
		"GET /sets/{set}":         p.set,
		"GET /sets/{set}/{name}":  p.question,
		"POST /sets/{set}/{name}": p.answer,
		"POST /view":              p.view,
		"GET /batches":            p.batches,
		"GET /batches/sample.csv": p.sampleCSV,
		"GET /batches/{id}":       p.batch,
		"GET /session":            p.signIn,
		"POST /session":           p.openSession,
		"/":                       p.lost,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := serve(w, r); err != nil {
				p.fail(w, r, err)
			}
		})
	}
	mux.Handle("GET /static/{version}/{file}", p.assets)
	compress, err := gzhttp.NewWrapper(gzhttp.MinSize(1024))
	if err != nil {
		return nil, fmt.Errorf("compress pages: %w", err)
	}
	p.handler = compress(mux)
	return p, nil
}

// policy lets a page run and load what stands in this service's own files.
// Nothing becomes markup unless the one policy of fragment.js made it so.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types gradus"

// ServeHTTP answers one request.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store") // answers and grades are nobody else's; files set their own
	p.handler.ServeHTTP(w, r)
}

// sheet is what every page has: where it stands and what stands in it.
type sheet struct {
	Title   string
	Nav     string // "practise", "batches" or empty
	Style   string // the page's own style sheet; empty: none
	Module  string // of the page's own behaviour; empty: none
	Signed  bool   // a session is open
	Content any
}

// parse reads the templates: each page with the layout and the shared parts.
func (p *Page) parse() (map[string]*template.Template, error) {
	funcs := template.FuncMap{"asset": p.assets.path, "verdicts": func() []api.Verdict { return drawn }}
	base, err := template.New("base.html").Funcs(funcs).ParseFS(templates, "templates/base.html", "templates/parts/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse the layout: %w", err)
	}
	pages := map[string]*template.Template{}
	for _, name := range []string{"home", "set", "question", "batches", "batch", "session", "problem"} {
		page, err := template.Must(base.Clone()).ParseFS(templates, "templates/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
		pages[name] = page
	}
	return pages, nil
}

// render writes a page, whole or not at all.
func (p *Page) render(w http.ResponseWriter, r *http.Request, status int, name string, s sheet) error {
	s.Signed = p.seal.key(r) != ""
	return p.write(w, status, p.pages[name], "base.html", s)
}

func (p *Page) write(w http.ResponseWriter, status int, from *template.Template, name string, data any) error {
	var out bytes.Buffer
	if err := from.ExecuteTemplate(&out, name, data); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if _, err := w.Write(out.Bytes()); err != nil {
		return nil //nolint:nilerr // the reader has gone: there is nobody to tell
	}
	return nil
}

// client calls the service as whoever sent the request.
func (p *Page) client(r *http.Request) (*api.Client, error) { return p.cfg.Client(p.seal.key(r)) }

// Key is the key of the session that a request belongs to, or empty.
func (p *Page) Key(r *http.Request) string { return p.seal.key(r) }
