package grading

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash"
	"io"
	"strconv"

	"github.com/gradus-ai/gradus/internal/judge"
)

// rulesVersion covers everything in this package and in package evidence that
// could change a grade made from the same judgement: tally, review, feedback,
// the shape of Grade. Raise it with any such change; old grades become misses.
const rulesVersion = 2

// idBytes of the digest make an id: 160 bits, beyond any accidental collision.
const idBytes = 20

// id is the content address of the grade that a request asks for. It covers
// all that could change the grade, and nothing that could not (detail,
// fallback and freshness).
func (s *Service) id(req Request, chosen judge.Judge) string {
	h := sha256.New()
	for _, part := range []string{
		strconv.Itoa(rulesVersion),
		strconv.FormatBool(s.cfg.AllowSampleAnswer),
		req.Tenant,
		req.Question.Ref,
		req.Question.Digest(),
		chosen.Name(),
		chosen.Fingerprint(),
		chosen.PromptDigest(),
		req.Answer,
	} {
		writePart(h, part)
	}
	if s.correction(req.Question, chosen) != nil {
		writePart(h, s.cfg.Calibration.Digest())
	}
	var sum [sha256.Size]byte
	return "gr_" + idEncoding.EncodeToString(h.Sum(sum[:0])[:idBytes])
}

// idEncoding is lower case so that ids survive case-folding shells and URLs.
var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// writePart writes a length before each part, so that no two lists of parts
// run together into the same bytes.
func writePart(h hash.Hash, part string) {
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(part)))
	h.Write(length[:])
	io.WriteString(h, part)
}
