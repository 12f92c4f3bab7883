package eval

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// ErrOtherRun is returned for a predictions file that another judge, or other
// gold, has written.
var ErrOtherRun = errors.New("the predictions were made by another judge or from other gold")

// File keeps predictions, one JSON object a line, so that a run that was
// interrupted goes on where it ended. Each is on its way to the disk before
// the next is written.
type File struct {
	f *os.File
}

// OpenFile opens a predictions file, or makes one. Close it when done.
func OpenFile(name string) (*File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open predictions: %w", err)
	}
	return &File{f}, nil
}

// lineStart is how every line of a predictions file begins.
var lineStart = []byte(`{"answer_id":`)

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// start reads what an earlier run wrote, cuts a last line that it did not
// finish, and stands at the end for more. A file with a line of another run
// is refused and not changed.
func (f *File) start(run string) (map[string]*Prediction, error) {
	data, err := io.ReadAll(f.f)
	if err != nil {
		return nil, fmt.Errorf("read predictions: %w", err)
	}
	whole := bytes.LastIndexByte(data, '\n') + 1
	out := make(map[string]*Prediction)
	line := 0
	for raw := range bytes.Lines(data[:whole]) {
		line++
		if len(bytes.TrimSpace(raw)) == 0 {
			continue
		}
		var p Prediction
		if err := json.Unmarshal(raw, &p); err != nil || p.AnswerID == "" {
			return nil, fmt.Errorf("read predictions: line %d is not a prediction", line)
		}
		if p.Run != run {
			return nil, fmt.Errorf("line %d: %w; give another file, or remove this one", line, ErrOtherRun)
		}
		out[p.AnswerID] = &p
	}
	if torn := data[whole:]; len(torn) > 0 {
		// Only what can be a line of ours is cut: the file may be another one,
		// named by mistake.
		if !bytes.HasPrefix(torn, lineStart[:min(len(torn), len(lineStart))]) {
			return nil, errors.New("read predictions: the last line is not a prediction")
		}
		if err := f.f.Truncate(int64(whole)); err != nil {
			return nil, fmt.Errorf("cut the torn last line of the predictions: %w", err)
		}
	}
	if _, err := f.f.Seek(int64(whole), io.SeekStart); err != nil {
		return nil, fmt.Errorf("find the end of the predictions: %w", err)
	}
	return out, nil
}

// append writes one prediction in one piece.
func (f *File) append(p *Prediction) error {
	var line strings.Builder
	encoder := json.NewEncoder(&line) // ends the line itself
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(p); err != nil {
		return fmt.Errorf("encode a prediction: %w", err)
	}
	if _, err := f.f.WriteString(line.String()); err != nil {
		return fmt.Errorf("write a prediction: %w", err)
	}
	return nil
}
