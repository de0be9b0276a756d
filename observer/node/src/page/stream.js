// Server-sent events, read by fetch: EventSource cannot send a token.

const TOKEN = 'observer-token';
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5000;
/** The server says something every 15 s at least. */
const SILENCE = 20000;

export const token = {
  get: () => sessionStorage.getItem(TOKEN) ?? '',
  set: (value) => (value ? sessionStorage.setItem(TOKEN, value) : sessionStorage.removeItem(TOKEN)),
};

const headers = () => (token.get() ? { Authorization: `Bearer ${token.get()}` } : {});

/** Asks once. */
export const ask = (path) => fetch(path, { headers: headers(), cache: 'no-store' });

/**
 * Follows events until stopped. `on.event(name, data)` for each; `on.state(state, text)` when the
 * connection is `open`, `lost`, or `refused` for want of a token.
 */
export function follow(path, on) {
  let stopped = false;
  let control = new AbortController();
  let wake = () => {};
  let pause = FIRST_PAUSE;

  async function once() {
    control = new AbortController();
    let watch = setTimeout(() => control.abort(), SILENCE);
    try {
      const answer = await fetch(path, {
        headers: { ...headers(), Accept: 'text/event-stream' },
        cache: 'no-store',
        signal: control.signal,
      });
      if (!answer.ok) {
        const text = (await answer.text()).trim();
        return on.state(answer.status === 401 || answer.status === 403 ? 'refused' : 'lost', text);
      }
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = '';
      for (;;) {
        const { done, value } = await reader.read();
        if (done || stopped) break;
        clearTimeout(watch);
        watch = setTimeout(() => control.abort(), SILENCE);
        rest += value;
        const blocks = rest.split('\n\n');
        rest = blocks.pop();
        for (const block of blocks) deliver(block);
      }
      return on.state('lost', 'the observer ended the connection');
    } finally {
      clearTimeout(watch);
    }
  }

  function deliver(block) {
    let name = '';
    let data = '';
    for (const line of block.split('\n')) {
      if (line.startsWith('event: ')) name = line.slice(7);
      else if (line.startsWith('data: ')) data += line.slice(6);
    }
    if (!data || stopped) return;
    pause = FIRST_PAUSE;
    on.state('open', '');
    on.event(name, JSON.parse(data));
  }

  (async () => {
    while (!stopped) {
      try {
        await once();
      } catch {
        if (!stopped) on.state('lost', 'no answer from the observer');
      }
      if (stopped) return;
      await new Promise((resolve) => {
        wake = resolve;
        setTimeout(resolve, pause);
      });
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  })();

  return {
    stop() {
      stopped = true;
      control.abort();
      wake();
    },
    /** Tries again at once. */
    retry() {
      pause = FIRST_PAUSE;
      control.abort();
      wake();
    },
  };
}
