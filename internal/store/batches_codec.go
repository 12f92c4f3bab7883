package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/gradus-ai/gradus/internal/batch"
)

// ErrDamaged is wrapped by errors that say a record of a batch is not what was
// written: its checksum does not stand, or another version wrote it.
var ErrDamaged = errors.New("the record is damaged")

// A blob is a result, the answers of a chunk or a question as Redis holds it:
//
//	0  1  kind, which names the version of the layout too
//	1  8  the first bytes of SHA-256 over the kind, its place and the text
//	9  …  the text, compressed with zstd
//
// The place is part of the checksum, so that a blob of another item is as
// foreign as a damaged one.
type blobKind byte

const (
	resultBlob   blobKind = 'R'
	answersBlob  blobKind = 'A'
	questionBlob blobKind = 'Q'

	blobHeader = 9
	// maxBlob bounds what a blob may grow to: sixteen of the longest answers
	// are a tenth of it.
	maxBlob = 16 << 20
	// pendingRow begins the row of an item without a result; its id follows.
	pendingRow = "-"
)

// packer compresses one blob after another; it is safe for concurrent use. The
// fastest level takes .6 of the time of the default one, and a grade is a
// thirtieth larger (7 kB of JSON are 2.4 kB).
var packer = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(256<<10))
})

var unpacker = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBlob))
})

func encodeBlob(kind blobKind, place string, text []byte) ([]byte, error) {
	z, err := packer()
	if err != nil {
		return nil, fmt.Errorf("prepare to compress: %w", err)
	}
	b := make([]byte, blobHeader, blobHeader+len(text)/2+64)
	b[0] = byte(kind)
	copy(b[1:], blobSum(kind, place, text))
	return z.EncodeAll(text, b), nil
}

// decodeBlob reads what encodeBlob wrote in the same place. The error is
// ErrDamaged for anything else.
func decodeBlob(kind blobKind, place, blob string) ([]byte, error) {
	if len(blob) < blobHeader || blob[0] != byte(kind) {
		return nil, ErrDamaged
	}
	z, err := unpacker()
	if err != nil {
		return nil, fmt.Errorf("prepare to decompress: %w", err)
	}
	text, err := z.DecodeAll([]byte(blob[blobHeader:]), nil)
	if err != nil || string(blobSum(kind, place, text)) != blob[1:blobHeader] {
		return nil, ErrDamaged // and not what zstd says, which may show some of it
	}
	return text, nil
}

func blobSum(kind blobKind, place string, text []byte) []byte {
	h := sha256.New()
	var head [9]byte
	head[0] = byte(kind)
	binary.LittleEndian.PutUint64(head[1:], uint64(len(place)))
	h.Write(head[:])
	h.Write([]byte(place))
	h.Write(text)
	return h.Sum(nil)[:blobHeader-1]
}

// place names where something of a batch belongs.
func place(key batch.Key, n int) string {
	return escape(key.Tenant) + ":" + escape(key.ID) + ":" + strconv.Itoa(n)
}

// encodeResult lays a result out: the length of its JSON without the grade, that
// JSON, and the grade byte for byte.
func encodeResult(key batch.Key, r batch.Result) ([]byte, error) {
	grade := r.Grade
	r.Grade = nil
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode result %d: %w", r.Index, err)
	}
	b := binary.AppendUvarint(make([]byte, 0, len(text)+len(grade)+4), uint64(len(text)))
	b = append(append(b, text...), grade...)
	return encodeBlob(resultBlob, place(key, r.Index), b)
}

func decodeResult(key batch.Key, index int, row string) (batch.Result, error) {
	b, err := decodeBlob(resultBlob, place(key, index), row)
	if err != nil {
		return batch.Result{}, err
	}
	var r batch.Result
	text, grade, ok := cut(b)
	if !ok || json.Unmarshal(text, &r) != nil || r.Index != index {
		return batch.Result{}, ErrDamaged
	}
	if len(grade) > 0 {
		r.Grade = grade
	}
	return r, nil
}

// encodeAnswers lays the items of a chunk out: index, id and answer of each.
func encodeAnswers(key batch.Key, c batch.Chunk) ([]byte, error) {
	var b []byte
	for _, item := range c.Items {
		b = binary.AppendUvarint(b, uint64(item.Index))
		for _, text := range []string{item.ID, item.Answer} {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
	}
	return encodeBlob(answersBlob, place(key, c.Index), b)
}

func decodeAnswers(key batch.Key, chunk int, blob string) ([]batch.Item, error) {
	b, err := decodeBlob(answersBlob, place(key, chunk), blob)
	if err != nil {
		return nil, err
	}
	var items []batch.Item
	for len(b) > 0 {
		index, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, ErrDamaged
		}
		id, rest, ok := cut(b[n:])
		if !ok {
			return nil, ErrDamaged
		}
		answer, rest, ok := cut(rest)
		if !ok {
			return nil, ErrDamaged
		}
		items = append(items, batch.Item{Index: int(index), ID: string(id), Answer: string(answer)})
		b = rest
	}
	return items, nil
}

// cut splits off what a length stands before.
func cut(b []byte) (text, rest []byte, ok bool) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > uint64(len(b)-n) {
		return nil, nil, false
	}
	end := n + int(length)
	return b[n:end:end], b[end:], true
}

// questionField names a question within a batch by what it says.
func questionField(question []byte) string {
	sum := sha256.Sum256(question)
	return "q" + base64.RawURLEncoding.EncodeToString(sum[:12])
}

// chunkLine is a chunk as it begins (batches_scripts.go).
func chunkLine(c batch.Chunk, question string) string {
	indexes := make([]int, len(c.Items))
	for i, item := range c.Items {
		indexes[i] = item.Index
	}
	return fmt.Sprintf("1 0 %d 0 0 0 - - %s %s", len(c.Items), question, indexList(indexes))
}

// indexList writes indexes as "0-15" or "1,5,9".
func indexList(indexes []int) string {
	if len(indexes) == 0 {
		return "-"
	}
	first, last := indexes[0], indexes[len(indexes)-1]
	straight := true
	for i, index := range indexes {
		straight = straight && index == first+i
	}
	if straight {
		return fmt.Sprintf("%d-%d", first, last)
	}
	var b bytes.Buffer
	for i, index := range indexes {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(index))
	}
	return b.String()
}

// chunkWords are the words of a chunk's line; false when it is none.
func chunkWords(line string) (w struct {
	gen, crashes, till, queued int64
}, ok bool) {
	words := strings.Fields(line)
	if len(words) != 10 {
		return w, false
	}
	for i, into := range map[int]*int64{0: &w.gen, 3: &w.crashes, 4: &w.till, 5: &w.queued} {
		n, err := strconv.ParseInt(words[i], 10, 64)
		if err != nil {
			return w, false
		}
		*into = n
	}
	return w, true
}

// suspicions reads "INDEX:CRASHES,…".
func suspicions(text string) map[int]int {
	counts := make(map[int]int)
	for part := range strings.SplitSeq(text, ",") {
		index, n, _ := strings.Cut(part, ":")
		i, err := strconv.Atoi(index)
		crashes, err2 := strconv.Atoi(n)
		if err == nil && err2 == nil {
			counts[i] = crashes
		}
	}
	return counts
}
