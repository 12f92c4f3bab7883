package rubric

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strconv"
)

// Digest is "sha256:HEX" over everything of the question that can change a
// grade: its own id, kind and texts, and its criteria in order. Where it comes
// from (the set, the file, comments, the layout of the YAML) does not count.
//
// It is computed once, when the question is loaded; for a question made by
// hand it is computed at each call.
func (q *Question) Digest() string {
	if q.digest != "" {
		return q.digest
	}
	return q.computeDigest()
}

// Digest is "sha256:HEX" over id, title and the digests of the questions in
// order.
func (s *Set) Digest() string {
	if s.digest != "" {
		return s.digest
	}
	return s.computeDigest()
}

func (q *Question) computeDigest() string {
	e := newEncoding("gradus question 1")
	e.text(q.ID, string(q.Kind), q.Text, q.Intent, q.Guidance, q.SampleAnswer)
	e.count(len(q.Criteria))
	for i := range q.Criteria {
		c := &q.Criteria[i]
		e.text(c.ID, c.Statement, strconv.FormatFloat(c.Weight, 'g', -1, 64), c.Partial, c.Hint)
		e.count(len(c.Phrases))
		e.text(c.Phrases...)
		e.text(string(c.Kind), string(c.Signal))
	}
	return e.digest()
}

func (s *Set) computeDigest() string {
	e := newEncoding("gradus set 1")
	e.count(s.Version)
	e.text(s.ID, s.Title)
	e.count(len(s.Questions))
	for _, q := range s.Questions {
		e.text(q.Digest())
	}
	return e.digest()
}

// encoding hashes a sequence of texts and counts, each with its length before
// it, so that no two different sequences encode alike.
type encoding struct{ sum hash.Hash }

// newEncoding starts with the name of what is encoded and the version of the
// encoding; a change of fields or order needs a new version.
func newEncoding(version string) encoding {
	e := encoding{sha256.New()}
	e.text(version)
	return e
}

func (e encoding) count(n int) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	e.sum.Write(b[:])
}

func (e encoding) text(texts ...string) {
	for _, t := range texts {
		e.count(len(t))
		e.sum.Write([]byte(t))
	}
}

func (e encoding) digest() string { return "sha256:" + hex.EncodeToString(e.sum.Sum(nil)) }
