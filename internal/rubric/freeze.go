package rubric

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// frozenVersion is the version of the frozen form.
const frozenVersion = 1

// ErrOtherVersion is returned for a frozen question that another version of
// this program may well thaw.
var ErrOtherVersion = errors.New("the question was frozen by another version")

// frozen is a question as it was when something was accepted on its account.
type frozen struct {
	Version  int       `json:"version"`
	Ref      string    `json:"ref"`
	Digest   string    `json:"digest"`
	Question *Question `json:"question"`
}

// Freeze writes a loaded question as bytes that Thaw makes the same question
// of, whatever becomes of the set it came from.
func Freeze(q *Question) ([]byte, error) {
	if q.Ref == "" || q.digest == "" {
		return nil, fmt.Errorf("freeze question %s: it has not been loaded", q.ID)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // a third of the size where a question is about HTML
	if err := e.Encode(frozen{frozenVersion, q.Ref, q.digest, q}); err != nil {
		return nil, fmt.Errorf("freeze question %s: %w", q.Ref, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Thaw makes a question of what Freeze wrote, with the same Ref and Digest.
//
// The error wraps ErrOtherVersion where another version wrote it or digested it
// in another way; anything else means that the bytes have suffered.
func Thaw(data []byte) (*Question, error) {
	var version struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("thaw question: %w", err)
	}
	if version.Version != frozenVersion {
		return nil, fmt.Errorf("thaw question: %w", ErrOtherVersion)
	}
	var f frozen
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("thaw question: %w", err)
	}
	if f.Question == nil || f.Ref == "" {
		return nil, errors.New("thaw question: there is none")
	}
	f.Question.Ref = f.Ref
	f.Question.digest = f.Question.computeDigest()
	if f.Question.digest != f.Digest {
		return nil, fmt.Errorf("thaw question %s: its digest has changed: %w", f.Ref, ErrOtherVersion)
	}
	return f.Question, nil
}
