package server

import (
	"bytes"
	"errors"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/gradus-ai/gradus/internal/api"
	"github.com/gradus-ai/gradus/internal/strict"
)

// bodies holds read buffers. Decoding copies strings out, so that a buffer can
// be used again as soon as it is decoded.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// pooledBody is the largest buffer worth keeping, in bytes.
const pooledBody = 64 << 10

// decodeBody reads the body of a request as one JSON value of type T, strictly.
// Every error is a failure that says where the fault is and never what was sent.
func decodeBody[T any](c *gin.Context, into *T, needs ...strict.Need[T]) error {
	if err := jsonOnly(c.Request.Header); err != nil {
		return err
	}
	buf := bodies.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= pooledBody {
			buf.Reset()
			bodies.Put(buf)
		}
	}()
	if err := readBody(c, buf); err != nil {
		return err
	}
	return refused(strict.Decode(buf.Bytes(), into, strict.Body, needs...))
}

// refused is the failure of a body that package strict does not take.
func refused(err error) error {
	var found *strict.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &found):
		return err
	case found.Malformed:
		return fail(api.MalformedBody, sentence(found.Faults[0]), found.Faults...)
	default:
		return invalid(found.Faults...)
	}
}

// jsonOnly refuses bodies that do not say they are JSON in UTF-8.
func jsonOnly(h http.Header) error {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return fail(api.UnsupportedMediaType, "Compressed bodies are not accepted.")
	}
	switch sent := h.Get("Content-Type"); sent {
	case "application/json", "application/json; charset=utf-8": // spare the parser
		return nil
	case "":
		return fail(api.UnsupportedMediaType, "The Content-Type header is missing; it must be application/json.")
	default:
		media, params, err := mime.ParseMediaType(sent)
		if err != nil || media != "application/json" {
			return fail(api.UnsupportedMediaType, "The Content-Type must be application/json.")
		}
		if charset, given := params["charset"]; given && !strings.EqualFold(charset, "utf-8") {
			return fail(api.UnsupportedMediaType, "The charset must be utf-8.")
		}
		return nil
	}
}

// readBody reads at most api.MaxBody bytes. A body that announces more is
// refused unread; one that announces nothing is counted as it arrives.
func readBody(c *gin.Context, into *bytes.Buffer) error {
	if c.Request.ContentLength > api.MaxBody {
		return unread(c, tooLarge(api.MaxBody))
	}
	if n := c.Request.ContentLength; n > 0 {
		into.Grow(int(n) + bytes.MinRead)
	}
	_, err := into.ReadFrom(http.MaxBytesReader(c.Writer, c.Request.Body, api.MaxBody))
	var limit *http.MaxBytesError
	var network net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &limit):
		return unread(c, tooLarge(api.MaxBody))
	case errors.As(err, &network) && network.Timeout():
		c.Header("Connection", "close")
		return fail(api.BodyTimeout, "The body did not arrive in time.")
	default:
		return fail(api.MalformedBody, "The body ended before it was complete.", api.Fault{Detail: "the body is cut short"})
	}
}

func tooLarge(most int) error {
	return fail(api.BodyTooLarge, "The body has more than "+strconv.Itoa(most)+" bytes.")
}
