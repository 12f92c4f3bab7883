package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static
var static embed.FS

// assets serves the files of the page under a path that changes with them, so
// that a browser may keep them for good. All files share one version: modules
// import each other by relative paths, which must not mix versions.
type assets struct {
	version string
	files   map[string]asset
}

type asset struct {
	media       string
	plain, gzip []byte
	etag        string
}

func newAssets() (*assets, error) {
	names, err := fs.Glob(static, "static/*")
	if err != nil {
		return nil, fmt.Errorf("list the page's files: %w", err)
	}
	a := &assets{files: map[string]asset{}}
	all := sha256.New()
	for _, name := range names {
		content, err := static.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the page's files: %w", err)
		}
		sum := sha256.Sum256(content)
		all.Write(sum[:])
		var packed bytes.Buffer
		z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			return nil, fmt.Errorf("compress %s: %w", name, err)
		}
		_, writeErr := z.Write(content)
		if err := z.Close(); err != nil || writeErr != nil {
			return nil, fmt.Errorf("compress %s: %w", name, err)
		}
		base := path.Base(name)
		a.files[base] = asset{media: mediaOf(base), plain: content, gzip: packed.Bytes(), etag: hex.EncodeToString(sum[:8])}
	}
	a.version = hex.EncodeToString(all.Sum(nil))[:12]
	return a, nil
}

// mediaOf does not ask the machine it runs on, whose tables differ.
func mediaOf(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return mime.TypeByExtension(path.Ext(name))
}

// path is where a file of the page is to be had.
func (a *assets) path(name string) (string, error) {
	if _, ok := a.files[name]; !ok {
		return "", fmt.Errorf("the page has no file %s", name)
	}
	return "/static/" + a.version + "/" + name, nil
}

// ServeHTTP answers GET /static/{version}/{file}. A page of another version gets
// what there is, and is not to keep it.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.media)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if r.PathValue("version") == a.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body, etag := file.plain, file.etag
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		body, etag = file.gzip, file.etag+"-gz"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// acceptsGzip reads what browsers send; others do without.
func acceptsGzip(accepted string) bool {
	for coding := range strings.SplitSeq(accepted, ",") {
		name, quality, _ := strings.Cut(strings.TrimSpace(coding), ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") && strings.TrimSpace(quality) != "q=0" {
			return true
		}
	}
	return false
}
