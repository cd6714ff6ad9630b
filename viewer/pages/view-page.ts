import 'leaflet/dist/leaflet.css';
import './view.css';
import '../map/dialogs.css';
import '../map/stage.css';
import { onAbort } from '../../src/on-abort.ts';
import { element } from '../elements/element.ts';
import type { IconName } from '../elements/icons.ts';
import type { Notices } from '../elements/notices.ts';
import { nextTheme } from '../elements/theme.ts';
import { iconButton } from '../elements/toolbar.ts';
import { Curtain } from '../map/curtain.ts';
import { DecodeSwitch, decodesHere } from '../map/decode-switch.ts';
import { helpDialog } from '../map/help-dialog.ts';
import { Inspector } from '../map/inspector.ts';
import { Navigator } from '../map/navigator.ts';
import { PictureMap } from '../map/picture-map.ts';
import { Readout } from '../map/readout.ts';
import { SaveDialog } from '../map/save-dialog.ts';
import { TileHealth } from '../map/tile-health.ts';
import type { CarriedView } from '../picture/carried-view.ts';
import { decodingOf, parseHash, type ViewState } from '../picture/permalink.ts';
import type { ShownPicture } from '../picture/shown-picture.ts';
import { factsLine } from './facts-line.ts';
import { ViewLink } from './view-link.ts';

export interface ViewPageOptions {
  /** Leads to the gallery. */
  readonly onBack: () => void;
  /** Opens the picture anew, after another one has taken its place. */
  readonly onReload: (view: CarriedView) => void;
}

/** The page of one picture. */
export class ViewPage {
  readonly picture: PictureMap;
  readonly #root: HTMLElement;
  readonly #notices: Notices;
  readonly #curtain: Curtain | undefined;
  readonly #inspector: Inspector;
  readonly #navigator: Navigator | undefined;
  readonly #save: SaveDialog;
  readonly #decodeSwitch: DecodeSwitch | undefined;
  readonly #help: HTMLDialogElement;
  /** What keys do besides moving the picture; undefined where this page has no such tool. */
  readonly #actions: ReadonlyMap<string, (() => void) | undefined>;
  /** Buttons that stay pressed, by their keys. */
  readonly #toggles = new Map<string, HTMLButtonElement>();
  readonly #listening = new AbortController();
  readonly #link: ViewLink;

  /** Fills `root`, which is in the document. */
  constructor(root: HTMLElement, picture: ShownPicture, notices: Notices, options: ViewPageOptions) {
    this.#root = root;
    this.#notices = notices.until(this.#listening.signal);
    document.title = `${picture.title} – liif`;
    const mapElement = element('div', {
      class: 'map',
      attributes: {
        role: 'region',
        'aria-roledescription': 'zoomable picture',
        'aria-label': `${[picture.title, ...picture.facts].join(', ')}. Arrows move, plus and minus zoom, question mark tells all keys.`,
        tabindex: 0,
      },
    });
    const stage = element('main', { class: 'stage' }, mapElement);
    // A pinch on a touch pad comes as a wheel with Ctrl: over panels, too, it must not enlarge the page.
    stage.addEventListener('wheel', (event) => event.ctrlKey && event.preventDefault(), { passive: false });
    root.replaceChildren(stage);
    this.picture = new PictureMap(mapElement, picture);
    this.#link = new ViewLink(this.picture, () => this.#state);

    const health = new TileHealth(this.#notices, picture.edition.replaced);
    health.watch(this.picture.layer);
    const readout = new Readout(this.picture);
    this.#inspector = new Inspector(this.picture);
    this.#save = new SaveDialog(this.picture);
    this.#navigator = this.picture.thumbnail && new Navigator(this.picture, this.picture.thumbnail);
    this.#curtain =
      picture.comparisons.length === 0
        ? undefined
        : new Curtain(this.picture, {
            onLayer: (layer, shown) => (shown ? health.watch(layer) : health.forget(layer)),
            onChange: () => this.#link.writeSoon(),
          });
    this.#decodeSwitch =
      picture.file === undefined
        ? undefined
        : new DecodeSwitch(this.picture, {
            notices: this.#notices,
            // At once: a reload right after a failure must not begin with what failed.
            onChange: () => this.#link.write(),
          });
    this.#actions = new Map([
      ['C', this.#curtain && (() => this.#toggleCurtain())],
      ['I', () => this.#toggleInspector()],
      ['N', this.#navigator && (() => this.#toggleNavigator())],
      ['D', this.#decodeSwitch && (() => this.#decodeSwitch!.toggle())],
      ['S', () => this.#save.open()],
      ['L', picture.hasAddress ? () => void this.#copyLink() : undefined],
      ['F', () => this.#toggleFullScreen()],
      ['T', () => this.#changeTheme()],
      ['?', () => this.#help.showModal()],
      ['Escape', () => this.#closeTools()],
    ]);
    this.#help = helpDialog((key) => this.#actions.get(key) !== undefined);
    stage.prepend(titlePanel(picture, options.onBack, this.#decodeSwitch?.element), this.#toolsPanel());
    stage.append(
      health.element,
      this.#inspector.crosshair,
      this.#inspector.element,
      element('div', { class: 'corner' }, this.#navigator?.element, this.#zoomPanel()),
      readout.element,
      readout.announcement,
      this.#save.element,
      this.#help,
    );

    const { signal } = this.#listening;
    addEventListener('keydown', (event) => this.#key(event), { signal });
    addEventListener('hashchange', () => this.#follow(), { signal });
    this.#followSize(mapElement, signal);
    this.#showFirst();
    this.picture.map.on('moveend', () => this.#link.writeSoon());
    onAbort(picture.edition.replaced, () => this.#tellReplaced(options.onReload));
    // Keys work at once, without a focus ring until the first one is pressed. In a frame, the keys may be
    // meant for the page around it.
    if (document.hasFocus() || window === top)
      mapElement.focus({ preventScroll: true, focusVisible: false } as FocusOptions);
  }

  #toolsPanel(): HTMLElement {
    const tool = (key: string, name: string, drawing: IconName, options: { class?: string } = {}) => {
      const act = this.#actions.get(key);
      return act && iconButton(name, drawing, act, { key, ...options });
    };
    const toggle = (key: string, name: string, drawing: IconName, pressed = false) => {
      const button = tool(key, name, drawing);
      if (button) this.#toggles.set(key, button);
      this.#press(key, pressed);
      return button;
    };
    return element(
      'div',
      { class: 'tools panel', attributes: { role: 'group', 'aria-label': 'Tools' } },
      toggle('C', 'Compare', 'compare'),
      toggle('I', 'Inspect pixels', 'inspect'),
      toggle('N', 'Navigator', 'map', true),
      tool('S', 'Save as PNG', 'save'),
      tool('L', 'Copy link', 'link'),
      tool('F', 'Full screen', 'full'),
      tool('T', 'Light or dark', 'theme', { class: 'wide-only' }),
      tool('?', 'Keys', 'help', { class: 'wide-only' }),
    );
  }

  #zoomPanel(): HTMLElement {
    return element(
      'div',
      { class: 'zoom panel', attributes: { role: 'group', 'aria-label': 'Zoom' } },
      iconButton('Zoom in', 'plus', () => this.picture.motion.stepBy(1), { key: '+' }),
      iconButton('Zoom out', 'minus', () => this.picture.motion.stepBy(-1), { key: '-' }),
      iconButton('Whole picture', 'home', () => this.picture.goHome(), { key: '0' }),
    );
  }

  /** Tells the map its size. A view of the whole picture stays one. */
  #followSize(mapElement: HTMLElement, signal: AbortSignal): void {
    const { map } = this.picture;
    const resize = new ResizeObserver(() => {
      // The observer also calls once at its start. Leaflet would then round the middle of the map to whole
      // pixels.
      if (map.getSize().equals([mapElement.clientWidth, mapElement.clientHeight])) return;
      const { isHome } = this.picture;
      map.invalidateSize({ pan: true, animate: false });
      if (isHome) this.picture.goHome();
    });
    resize.observe(mapElement);
    onAbort(signal, () => resize.disconnect());
  }

  /** Shows what the address names, or else the whole picture. */
  #showFirst(): void {
    // Before the first view asks for tiles, behind which the decoder's script would wait for a free
    // connection.
    this.#decodeSwitch?.set(decodingOf(location.hash) ?? (decodesHere() ? 'here' : undefined));
    const state = parseHash(location.hash);
    const { center, zoom } = state ?? this.picture.home();
    this.picture.view.setView(center, zoom);
    if (state?.comparison && this.#curtain) this.#openCurtain(state.comparison.with, state.comparison.at);
  }

  /** The state that a link to this view holds. */
  get #state(): ViewState {
    const { center, zoom } = this.picture.view;
    const comparison = this.#curtain?.state;
    // Where there is nothing to switch, a link may still name the engine.
    const decoding = this.#decodeSwitch ? this.#decodeSwitch.decoding : decodingOf(location.hash);
    return { center, zoom, ...(comparison && { comparison }), ...(decoding && { decoding }) };
  }

  close(): void {
    this.#listening.abort();
    this.#save.close();
    this.#decodeSwitch?.close();
    this.picture.close();
    // Closing has ended any motion, whose last view would be written into the address.
    this.#link.close();
    this.#root.replaceChildren();
  }

  #key(event: KeyboardEvent): void {
    const { target, key } = event;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (document.querySelector('dialog[open]')) return;
    const typing = target instanceof HTMLElement && target.closest('input, select, textarea') !== null;
    // Escape is no text: it closes tools from within their fields, too.
    if (typing && key !== 'Escape') return;
    // Wherever the focus is, all keys but Space and Enter, which press buttons, are for the picture.
    if (this.picture.key(event)) {
      event.preventDefault();
      return;
    }
    const act = this.#actions.get(key.length === 1 ? key.toUpperCase() : key);
    if (!act) return;
    event.preventDefault();
    // A held key would open and close the tool over and over.
    if (!event.repeat) act();
  }

  #press(key: string, pressed: boolean): void {
    this.#toggles.get(key)?.setAttribute('aria-pressed', String(pressed));
  }

  #toggleCurtain(): void {
    if (this.#curtain!.state) {
      this.#curtain!.hide();
      this.#press('C', false);
      return;
    }
    this.#openCurtain();
    this.#curtain!.focus();
  }

  #openCurtain(key?: string, at?: number): void {
    this.#curtain!.show(key, at);
    this.#press('C', true);
  }

  #toggleInspector(): void {
    this.#inspector.shown = !this.#inspector.shown;
    this.#press('I', this.#inspector.shown);
  }

  #toggleNavigator(): void {
    const { element: small } = this.#navigator!;
    small.hidden = !small.hidden;
    this.#press('N', !small.hidden);
  }

  #closeTools(): void {
    if (this.#curtain?.state) this.#toggleCurtain();
    if (this.#inspector.shown) this.#toggleInspector();
    this.picture.map.getContainer().focus({ preventScroll: true });
  }

  #toggleFullScreen(): void {
    const failed = () => this.#notices.show('Full screen is not available here.');
    if (document.fullscreenElement) void document.exitFullscreen();
    // The whole document: notices lie outside of the page's element.
    else if (document.documentElement.requestFullscreen)
      document.documentElement.requestFullscreen().catch(failed);
    else failed();
  }

  #changeTheme(): void {
    const names = { auto: 'Light or dark, as the system', light: 'Light', dark: 'Dark' };
    this.#notices.show(names[nextTheme()], { forMs: 1500 });
  }

  async #copyLink(): Promise<void> {
    // A link copied in the midst of a zoom leads to where the zoom is going.
    this.picture.motion.finish();
    this.#link.write();
    try {
      await navigator.clipboard.writeText(location.href);
      this.#notices.show('Link copied.');
    } catch {
      this.#notices.show('The link to this view is in the address bar.');
    }
  }

  /**
   * Says that the picture was replaced, and offers the new one. The picture that was opened stays in view.
   */
  #tellReplaced(onReload: (view: CarriedView) => void): void {
    this.#notices.show('This picture has changed since it was opened.', {
      forMs: 0,
      action: {
        name: 'Show it as it is now',
        run: () => {
          const { isHome } = this.picture;
          onReload({ state: this.#state, size: this.picture.picture.size, isHome });
        },
      },
    });
  }

  /** Somebody wrote another view into the address bar. */
  #follow(): void {
    if (this.#link.isOwn) return;
    const state = parseHash(location.hash);
    if (!state) return;
    this.#decodeSwitch?.set(state.decoding);
    this.picture.motion.stop();
    this.picture.view.setView(state.center, state.zoom);
    if (!this.#curtain) return;
    if (state.comparison) this.#openCurtain(state.comparison.with, state.comparison.at);
    else if (this.#curtain.state) this.#toggleCurtain();
  }
}

/**
 * Name and facts of the picture. At the end stands the switch of the decoder, or what decodes where no server
 * could.
 */
function titlePanel(picture: ShownPicture, onBack: () => void, decoding?: HTMLElement): HTMLElement {
  return element(
    'header',
    { class: 'title panel' },
    iconButton('All pictures', 'back', onBack),
    element(
      'div',
      { class: 'title-words' },
      element('h1', { text: picture.title, attributes: { dir: 'auto', title: picture.title } }),
      element('p', {}, factsLine(picture.facts)),
    ),
    decoding ?? (picture.decodedBy !== undefined && decodedBy(picture.decodedBy)),
  );
}

function decodedBy(engine: string): HTMLElement {
  return element(
    'div',
    { class: 'decoding' },
    element('span', { class: 'switch-name', text: 'Decoded here' }),
    element('span', { class: 'decoding-state', text: engine }),
  );
}
