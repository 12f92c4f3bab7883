package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// providerNote is what has to be known of batches at a provider to collect them
// later. It lies beside the results and holds no text of an answer.
type providerNote struct {
	// Secret keys the markers around the answers that were sent: the same
	// requests have to be made again to find their replies.
	Secret  string       `json:"secret"`
	Batches []*sentBatch `json:"batches"`

	name string // empty where there is no file
}

// sentBatch is one batch at the provider. Without an ID it is not known whether
// it was made.
type sentBatch struct {
	Tag string `json:"tag"`
	ID  string `json:"id,omitempty"`
	// Answers has the id of the grade that each answer is to get, by the id of
	// the answer: it covers all that could change the request.
	Answers map[string]string `json:"answers"`
}

// newSentBatch has a tag of its own.
func newSentBatch() *sentBatch {
	return &sentBatch{Tag: strings.ToLower(rand.Text()), Answers: make(map[string]string)}
}

// openProviderNote reads the note beside a file of results, or begins one.
func openProviderNote(results string) (*providerNote, error) {
	n := &providerNote{Secret: rand.Text()}
	if results == "" {
		return n, nil
	}
	n.name = results + ".provider.json"
	text, err := os.ReadFile(n.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return n, nil
	case err != nil:
		return nil, usage(err)
	}
	if err := json.Unmarshal(text, n); err != nil || n.Secret == "" || slices.Contains(n.Batches, nil) {
		return nil, usage(fmt.Errorf("%s does not say what was sent to the provider; remove it to send the answers anew", n.name))
	}
	return n, nil
}

// sent is the id of the grade that an answer is to get, where it was sent.
func (n *providerNote) sent(id string) (gradeID string, ok bool) {
	for _, b := range n.Batches {
		if gradeID, ok = b.Answers[id]; ok {
			return gradeID, true
		}
	}
	return "", false
}

func (n *providerNote) write() error {
	text, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode %s: %w", n.name, err)
	}
	return replace(n.name, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// drop takes out a batch that will never be collected.
func (n *providerNote) drop(b *sentBatch) {
	n.Batches = slices.DeleteFunc(n.Batches, func(other *sentBatch) bool { return other == b })
	if len(n.Batches) == 0 {
		n.forget()
		return
	}
	_ = n.write() // one that stays is looked at once more
}

// forget removes the note: there is nothing left to collect.
func (n *providerNote) forget() {
	n.Batches = nil
	if n.name != "" {
		_ = os.Remove(n.name) // there may be none
	}
}
