/** What mediabunny reads a track of a container with, in 1.61; undefined for containers whose tracks have nothing of the kind. */
export function internalTrackOf<Track>(input: object): Track | undefined {
  return (input as { readonly _backing: { readonly internalTrack?: Track } })._backing.internalTrack;
}
