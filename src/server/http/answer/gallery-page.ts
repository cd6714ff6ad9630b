/** Pictures that the viewer's page of all pictures shows at once, and with each "Show more". */
export const GALLERY_PAGE = 120;
