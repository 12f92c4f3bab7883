package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gradus-ai/gradus/internal/api"
)

// maxForm is the largest form that is read, in bytes: an answer of
// api.MaxAnswer code points, each percent-encoded.
const maxForm = 512 << 10

// sessionSheet is the page that asks for a key.
type sessionSheet struct {
	Next  string
	Fault string
}

// signIn answers GET /session.
func (p *Page) signIn(w http.ResponseWriter, r *http.Request) error {
	return p.askForKey(w, r, http.StatusOK, sessionSheet{Next: local(r.URL.Query().Get("next"))})
}

func (p *Page) askForKey(w http.ResponseWriter, r *http.Request, status int, s sessionSheet) error {
	return p.render(w, r, status, "session", sheet{Title: "Sign in", Content: s})
}

// openSession answers POST /session: it opens a session, or ends one.
func (p *Page) openSession(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r); err != nil {
		return err
	}
	if r.PostForm.Has("end") {
		http.SetCookie(w, p.seal.end(r))
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	next := local(r.PostForm.Get("next"))
	key := strings.TrimSpace(r.PostForm.Get("key"))
	if key == "" || strings.ContainsFunc(key, unprintable) {
		return p.askForKey(w, r, http.StatusUnprocessableEntity, sessionSheet{Next: next, Fault: "Paste the key you were given."})
	}
	client, err := p.cfg.Client(key)
	if err != nil {
		return err
	}
	switch _, err := client.Sets(r.Context()); {
	case errors.Is(err, api.KeyNeeded):
		return p.askForKey(w, r, http.StatusForbidden, sessionSheet{Next: next, Fault: "This service does not know that key. Check that all of it was copied."})
	case err != nil:
		return err
	}
	http.SetCookie(w, p.seal.cookie(r, key))
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

// unprintable characters cannot stand in a header.
func unprintable(r rune) bool { return r < '!' || r > '~' }

// local is where to go after signing in: a path of this service, never another
// site.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") ||
		strings.HasPrefix(next, "//") || strings.ContainsFunc(next, func(r rune) bool { return r == '\\' || r < ' ' }) {
		return "/"
	}
	return next
}

func readForm(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	var limit *http.MaxBytesError
	switch err := r.ParseForm(); {
	case errors.As(err, &limit):
		return problemOf(api.BodyTooLarge, "The form has more than half a megabyte.")
	case err != nil:
		return problemOf(api.MalformedBody, "The form cannot be read.")
	}
	return nil
}
