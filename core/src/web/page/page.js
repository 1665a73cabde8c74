// Plays a stream with Media Source Extensions, close to its end, and shows the status of the server.
// The part of the URL after # names the stream. The part after ? is passed on: a token, if the server asks for one.
'use strict';
const element = id => document.getElementById(id);
const video = element('main').appendChild(document.createElement('video'));
Object.assign(video, { muted: true, autoplay: true, playsInline: true, controls: true, disableRemotePlayback: true });
const Source = window.ManagedMediaSource || window.MediaSource;
const show = text => { element('message').textContent = text; };
const pause = ms => new Promise(resume => setTimeout(resume, ms));
const next = (target, event) => new Promise(resume => target.addEventListener(event, resume, { once: true }));
let name = '', abort = new AbortController();

async function feed(signal) {
  const url = '/' + name.split('/').map(encodeURIComponent).join('/') + '.mp4' + location.search;
  const response = await fetch(url, { signal });
  const type = response.headers.get('Content-Type');
  if (!response.ok) throw Error(name + ': ' + await response.text());
  if (!type.includes('codecs=')) throw Error(name + ': no picture yet');
  if (!Source || !Source.isTypeSupported(type)) {
    response.body.cancel();
    video.src = url;
    show(name + ' (plain)');
    await Promise.race([next(video, 'ended'), next(video, 'error'), next(signal, 'abort')]);
    throw Error(video.error ? video.error.message : 'The stream has ended.');
  }
  const media = new Source(), reader = response.body.getReader();
  video.src = URL.createObjectURL(media);
  await next(media, 'sourceopen');
  URL.revokeObjectURL(video.src);
  const buffer = media.addSourceBuffer(type);
  show(name);
  for (;;) {
    const { done, value } = await reader.read();
    if (done || media.readyState !== 'open') throw Error('The stream has ended.');
    buffer.appendBuffer(value);
    await next(buffer, 'updateend');
    const { buffered, currentTime } = video;
    if (buffered.length === 0) continue;
    const start = buffered.start(buffered.length - 1), end = buffered.end(buffered.length - 1);
    if (currentTime < start || end - currentTime > 2) video.currentTime = Math.max(start, end - .3);
    video.playbackRate = end - currentTime > .5 ? 1.1 : 1;
    if (video.paused && video.autoplay) video.play().then(() => { video.autoplay = false; }, () => {});
    if (currentTime - buffered.start(0) > 30) {
      buffer.remove(0, currentTime - 10);
      await next(buffer, 'updateend');
    }
  }
}

async function play() {
  for (;;) {
    abort = new AbortController();
    name = decodeURIComponent(location.hash.slice(1)) || element('streams').value;
    await (name ? feed(abort.signal) : Promise.reject(Error('No stream.'))).catch(error => show(error.message));
    abort.abort();
    await pause(1000);
  }
}

async function status() {
  for (;; await pause(2000)) {
    const status = await fetch('/status.json' + location.search).then(response => response.json()).catch(() => null);
    if (!status) continue;
    const list = element('streams'), names = status.streams.map(stream => stream.name), chosen = list.value;
    list.replaceChildren(...names.map(name => new Option(name)));
    if (names.includes(chosen)) list.value = chosen;
    list.hidden = names.length < 2;
    const stream = status.streams.find(stream => stream.name === name) || {};
    const quality = video.getVideoPlaybackQuality();
    element('numbers').replaceChildren(...Object.entries({
      'Bit rate': stream.bit_rate === undefined ? '–' : Math.round(stream.bit_rate / 1000) + ' kbit/s',
      'Frames dropped': (stream.dropped || 0) + (stream.skipped || 0) + quality.droppedVideoFrames,
      'Frames shown': quality.totalVideoFrames,
      'Players': status.players,
      'Uptime': status.uptime + ' s',
      'Last error': status.last_error || 'none',
    }).map(([term, value]) => {
      const entry = document.createElement('div');
      entry.append(document.createElement('dt'), document.createElement('dd'));
      [entry.firstChild.textContent, entry.lastChild.textContent] = [term, value];
      return entry;
    }));
  }
}

element('streams').onchange = () => { location.hash = element('streams').value; };
window.onhashchange = () => abort.abort();
status();
play();
