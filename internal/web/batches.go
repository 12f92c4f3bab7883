package web

import "net/http"

func (p *Page) batches(w http.ResponseWriter, r *http.Request) error {
	return p.lost(w, r)
}

func (p *Page) batch(w http.ResponseWriter, r *http.Request) error {
	return p.lost(w, r)
}

func (p *Page) sampleCSV(w http.ResponseWriter, r *http.Request) error {
	return p.lost(w, r)
}
