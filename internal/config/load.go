package config

import (
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// delim never occurs in a key: settings are flat.
const delim = "\x00"

// Flags adds a flag for every setting that any command has a use for and that
// is not a secret.
func Flags(flags *pflag.FlagSet) { addFlags(flags, func(s Setting) bool { return !s.Serve }) }

// ServeFlags adds the flags that only a service has a use for.
func ServeFlags(flags *pflag.FlagSet) { addFlags(flags, func(s Setting) bool { return s.Serve }) }

// StoreFlags adds the flags of a command that looks into Redis and grades
// nothing.
func StoreFlags(flags *pflag.FlagSet) { addFlags(flags, func(s Setting) bool { return s.Store }) }

func addFlags(flags *pflag.FlagSet, wanted func(Setting) bool) {
	for _, s := range settings {
		if s.Secret || !wanted(s) {
			continue
		}
		usage := fmt.Sprintf("%s [%s]", s.Usage, s.Env)
		if s.Default == "false" {
			flags.Bool(s.Key, false, usage)
			continue
		}
		flags.String(s.Key, s.Default, usage)
	}
}

// Check looks at a configuration for faults that this package cannot know of. It
// may be shown one that has others.
type Check func(*Config) (faults []string)

// Load reads the environment and the flags that were given (flags may be nil)
// and returns a valid configuration, or an *InvalidError with every fault that
// it and the checks find.
//
// Where to listen, and whether that is safe, is looked at only for a command
// that listens: one with the flags of ServeFlags.
func Load(flags *pflag.FlagSet, checks ...Check) (*Config, error) {
	return load(flags, os.Environ(), os.ReadFile, checks...)
}

func load(flags *pflag.FlagSet, environ []string, readFile func(string) ([]byte, error), checks ...Check) (*Config, error) {
	k := koanf.New(delim)
	defaults := map[string]any{}
	for _, s := range settings {
		defaults[s.Key] = s.Default
	}
	if err := k.Load(confmap.Provider(defaults, delim), nil); err != nil {
		return nil, fmt.Errorf("read defaults: %w", err)
	}
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, s := range settings {
		if s.File && given(environ, s.Env) && given(environ, s.Env+fileSuffix) {
			fault("%s and %s%s are both set: choose one", s.Env, s.Env, fileSuffix)
		}
	}
	fromEnv := env.Provider(delim, env.Opt{
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			i := slices.IndexFunc(settings, func(s Setting) bool {
				return s.Env == name || (s.File && s.Env+fileSuffix == name)
			})
			// An empty variable counts as unset: compose files pass those.
			if i < 0 || value == "" {
				return "", nil
			}
			if name != settings[i].Env {
				content, err := readFile(value)
				if err != nil {
					fault("%s: %v", name, err)
					return "", nil
				}
				value = strings.TrimSpace(strings.ReplaceAll(string(content), "\n", ","))
				value = strings.Trim(value, ",")
			}
			return settings[i].Key, value
		},
	})
	if err := k.Load(fromEnv, nil); err != nil {
		return nil, fmt.Errorf("read environment: %w", err)
	}
	listens := false
	if flags != nil {
		listens = flags.Lookup("addr") != nil
		if flags.Changed("addr") && !flags.Changed("port") {
			k.Delete("port") // of the environment: a whole address on the command line is meant whole
		}
		if err := k.Load(posflag.Provider(flags, delim, k), nil); err != nil {
			return nil, fmt.Errorf("read flags: %w", err)
		}
	}
	c, unreadable := decode(k)
	if len(unreadable) > 0 {
		// Put right for the moment, so that the others are looked at as well.
		for _, s := range settings {
			if reason, bad := unreadable[s.Key]; bad {
				fault("%s: %v", s.Env, reason)
				defaults[s.Key] = s.Default
			} else {
				delete(defaults, s.Key)
			}
		}
		if err := k.Load(confmap.Provider(defaults, delim), nil); err != nil {
			return nil, fmt.Errorf("read defaults: %w", err)
		}
		c, _ = decode(k)
	}
	faults = append(faults, c.faults(listens)...)
	for _, check := range checks {
		faults = append(faults, check(c)...)
	}
	if len(faults) > 0 {
		return nil, &InvalidError{Faults: faults}
	}
	return c, nil
}

// fileSuffix makes of a secret's variable the one that names a file with it.
const fileSuffix = "_FILE"

// given reports whether a variable is set to anything.
func given(environ []string, name string) bool {
	return slices.ContainsFunc(environ, func(v string) bool {
		value, found := strings.CutPrefix(v, name+"=")
		return found && value != ""
	})
}

// decode turns the text of all settings into their types, and says by key why
// one cannot be read.
func decode(k *koanf.Koanf) (*Config, map[string]error) {
	c := &Config{}
	err := k.UnmarshalWithConf("", c, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result: c, TagName: "koanf", WeaklyTypedInput: true,
		DecodeHook: mapstructure.ComposeDecodeHookFunc(decodeSetting),
	}})
	unreadable := map[string]error{}
	collect(err, unreadable)
	return c, unreadable
}

// collect takes a tree of errors apart into those of single settings.
func collect(err error, into map[string]error) {
	switch e := err.(type) { //nolint:errorlint // this walks the tree itself
	case nil:
	case *mapstructure.DecodeError:
		into[e.Name()] = e.Unwrap()
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			collect(one, into)
		}
	case interface{ Unwrap() error }:
		collect(e.Unwrap(), into)
	}
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	priceType    = reflect.TypeFor[Price]()
	levelType    = reflect.TypeFor[slog.Level]()
)

// decodeSetting turns the text of a setting into its type.
func decodeSetting(_, to reflect.Type, value any) (any, error) {
	s, ok := value.(string)
	if !ok {
		return value, nil
	}
	switch {
	case to == durationType:
		return ParseDuration(s)
	case to == priceType:
		return ParsePrice(s)
	case to == levelType:
		var level slog.Level
		if err := level.UnmarshalText([]byte(s)); err != nil {
			return nil, fmt.Errorf("%q is not a log level", s)
		}
		return level, nil
	case to.Kind() == reflect.Slice:
		return list(s), nil
	case to.Kind() == reflect.Int || to.Kind() == reflect.Int64:
		n, err := strconv.ParseInt(s, 10, strconv.IntSize)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", s)
		}
		return n, nil
	case to.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return nil, fmt.Errorf("%q is neither true nor false", s)
		}
		return b, nil
	}
	return value, nil
}

// list splits at commas and drops what is empty.
func list(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}
